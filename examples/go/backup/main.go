// Command backup saves all files that are attached to a record of Zoho CRM. It skips what is there already, so you can run it again.
//
//	ZCRM_ACCESS_TOKEN=… backup -module Deals -id 3652397000000649013 -to ./saved
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/examples/go/internal/account"
)

func main() {
	module := flag.String("module", "", "API name of the module; by default ZCRM_MODULE, or Contacts")
	id := flag.String("id", "", "id of the record; by default ZCRM_RECORD_ID")
	to := flag.String("to", ".", "directory for the files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := backup(ctx, *module, *id, *to); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func backup(ctx context.Context, module, id, to string) error {
	record, err := account.Record(module, id)
	if err != nil {
		return err
	}
	client, err := account.FromEnvironment()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for attachment, err := range client.Attachments(ctx, record) {
		if err != nil {
			return err
		}
		if attachment.IsLink {
			fmt.Println(attachment.FileName, "is a link to", attachment.LinkURL)
			continue
		}
		path := filepath.Join(to, attachment.ID+" "+attachment.SafeName) // the id makes the name unique
		var e *zcrm.Error
		saved, err := client.DownloadAttachmentFile(ctx, record, attachment.ID, path)
		if errors.As(err, &e) && e.Reason == "target_exists" {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", attachment.FileName, err)
		}
		fmt.Println(saved.Path, saved.Bytes)
	}
	return nil
}
