// Command attach puts files on a record of Zoho CRM and shows how far it is. Ctrl-C ends it at once.
//
//	attach -module Contacts -id 3652397000000649013 contract.pdf photo.jpg
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
	module := flag.String("module", "Contacts", "API name of the module")
	id := flag.String("id", "", "id of the record")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := attach(ctx, zcrm.Record{Module: *module, ID: *id}, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func attach(ctx context.Context, record zcrm.Record, paths []string) error {
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
