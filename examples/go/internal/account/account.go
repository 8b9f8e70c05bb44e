// Package account makes the client of the examples.
package account

import (
	"os"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// FromEnvironment takes the credentials of a self client from ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, and the data centre
// from ZOHO_DATA_CENTER, such as eu. ZOHO_URL names the emulator instead: its address.
func FromEnvironment() (*zcrm.Client, error) {
	options := []zcrm.Option{
		zcrm.WithRefreshToken(os.Getenv("ZOHO_CLIENT_ID"), os.Getenv("ZOHO_CLIENT_SECRET"), os.Getenv("ZOHO_REFRESH_TOKEN")),
	}
	if center := os.Getenv("ZOHO_DATA_CENTER"); center != "" {
		options = append(options, zcrm.WithDataCenter(center))
	}
	if url := os.Getenv("ZOHO_URL"); url != "" {
		options = append(options, zcrm.WithDomains(url, url))
	}
	return zcrm.New(options...)
}
