// Command attach puts files on a record of Zoho CRM and shows how far it is. Ctrl-C ends it at once.
//
//	ZCRM_ACCESS_TOKEN=… attach -module Contacts -id 3652397000000649013 contract.pdf photo.jpg
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/examples/go/internal/account"
)

func main() {
	module := flag.String("module", "", "API name of the module; by default ZCRM_MODULE, or Contacts")
	id := flag.String("id", "", "id of the record; by default ZCRM_RECORD_ID")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := attach(ctx, *module, *id, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func attach(ctx context.Context, module, id string, paths []string) error {
	record, err := account.Record(module, id)
	if err != nil {
		return err
	}
	client, err := account.FromEnvironment()
	if err != nil {
		return err
	}
	defer client.Close()
	for _, path := range paths {
		progress := zcrm.WithProgress(func(done, total int64) {
			fmt.Fprintf(os.Stderr, "\r%s: %d of %d bytes", path, done, total)
		})
		stored, err := client.UploadAttachment(ctx, record, zcrm.FromFile(path), progress)
		fmt.Fprintln(os.Stderr)
		switch {
		case errors.Is(err, zcrm.ErrOutcomeUnknown):
			return fmt.Errorf("%s: look into the record before trying again: %w", path, err)
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Println(stored.ID, stored.FileName)
	}
	return nil
}
