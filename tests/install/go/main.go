// Attaches a text to a record and lists it: URL TOKEN RECORD.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func main() {
	if len(os.Args) != 4 {
		os.Exit(2)
	}
	client, err := zcrm.New(zcrm.WithAccessToken(os.Args[2]), zcrm.WithDomains(os.Args[1], os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, record := context.Background(), zcrm.Record{Module: "Contacts", ID: os.Args[3]}
	if _, err := client.UploadAttachment(ctx, record, zcrm.FromBytes("outside.txt", []byte("Go"))); err != nil {
		log.Fatal(err)
	}
	count := 0
	for _, err := range client.Attachments(ctx, record) {
		if err != nil {
			log.Fatal(err)
		}
		count++
	}
	fmt.Printf("%d attachments\n", count)
}
