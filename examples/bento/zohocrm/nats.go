package zohocrm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/warpstreamlabs/bento/public/service"
)

// natsFields are those of a component that connects to NATS.
func natsFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField("urls").Description("Servers to connect to.").Example([]string{"nats://127.0.0.1:4222"}),
		service.NewTLSToggledField("tls"),
		service.NewStringField("user_credentials_file").Description("File with the user's JWT and seed.").Default("").Advanced(),
		service.NewStringField("nkey_file").Description("File with an NKey seed.").Default("").Advanced(),
	}
}

// natsServer is NATS, and how to connect to it.
type natsServer struct {
	urls    []string
	options []nats.Option
}

func natsServerOf(conf *service.ParsedConfig, mgr *service.Resources) (s natsServer, err error) {
	if s.urls, err = conf.FieldStringList("urls"); err != nil {
		return s, err
	}
	// Who uses the connection makes a new one after a failure, so that it knows of it.
	s.options = []nats.Option{nats.Name(mgr.Label()), nats.NoReconnect()}
	tlsConf, enabled, err := conf.FieldTLSToggled("tls")
	if err != nil {
		return s, err
	}
	if enabled {
		s.options = append(s.options, nats.Secure(tlsConf.Clone()))
	}
	credentials, err := conf.FieldString("user_credentials_file")
	if err != nil {
		return s, err
	}
	if credentials != "" {
		s.options = append(s.options, nats.UserCredentials(credentials))
	}
	seed, err := conf.FieldString("nkey_file")
	if err != nil || seed == "" {
		return s, err
	}
	option, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		return s, fmt.Errorf("nkey_file: %w", err)
	}
	s.options = append(s.options, option)
	return s, nil
}

func (s natsServer) connect() (*nats.Conn, error) {
	conn, err := nats.Connect(strings.Join(s.urls, ","), s.options...)
	if malformed := (*url.Error)(nil); errors.As(err, &malformed) {
		err = malformed.Err // without the address, which may have a password
	}
	if err != nil {
		return nil, fmt.Errorf("NATS at %s: %w", s.shown(), err)
	}
	return conn, nil
}

// shown are the addresses without what they say of a user: a password or a token.
func (s natsServer) shown() string {
	var shown []string
	for _, address := range strings.Split(strings.Join(s.urls, ","), ",") {
		parsed, err := url.Parse(strings.TrimSpace(address))
		switch {
		case err == nil && parsed.User == nil:
			shown = append(shown, address)
		case err == nil:
			shown = append(shown, parsed.Scheme+"://"+parsed.Host)
		}
	}
	return strings.Join(shown, ", ")
}
