package zcrm

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// Client is a connection to one CRM organisation. Any number of goroutines may use it at once. Make one with [New]: a zero or nil Client
// counts as closed. Copies of a Client are the same connection.
type Client struct {
	c *cabi.Client
}

func (c *Client) seam() *cabi.Client {
	if c == nil {
		return nil
	}
	return c.c
}

// Option is a setting of a [Client].
type Option struct {
	apply func(*cabi.Config)
}

// New makes a client. It sends nothing: wrong credentials show at the first operation.
//
// It needs one of [WithProfile], [WithRefreshToken], [WithAccessToken] and [WithTokenSource], and outside of the United States [WithDataCenter].
// A wrong or missing setting is [ErrConfig].
func New(options ...Option) (*Client, error) {
	c, err := cabi.NewClient(configOf(options))
	if err != nil {
		return nil, wrap("new", err)
	}
	return &Client{c}, nil
}

func configOf(options []Option) cabi.Config {
	var config cabi.Config
	for _, option := range options {
		if option.apply != nil {
			option.apply(&config)
		}
	}
	return config
}

// Close releases the client. Calls that run go on to their end; later ones fail with [ErrClosed]. It may be called more than once, and on
// a nil Client, and always returns nil.
func (c *Client) Close() error {
	c.seam().Close()
	return nil
}

// WithProfile takes the settings of a profile, such as the login that "zcrm login" has written. An empty path is the user's own file,
// zcrm/profiles.toml in XDG_CONFIG_HOME or else in .config of HOME; an empty name is "default". The other options come before it, whatever
// their order. A file to which others have rights is refused, and one that isn't there: both are [ErrConfig].
func WithProfile(path, name string) Option {
	return Option{func(config *cabi.Config) { config.Profile = &cabi.Profile{Path: path, Name: name} }}
}

// WithRefreshToken lets the client get its access tokens from Zoho.
// See https://www.zoho.com/crm/developer/docs/api/v8/refresh.html
func WithRefreshToken(clientID, clientSecret, refreshToken string) Option {
	return options(WithOption("client_id", clientID), WithOption("client_secret", clientSecret), WithOption("refresh_token", refreshToken))
}

// WithAccessToken gives an access token. The client uses it until Zoho refuses it, or, with [WithRefreshToken], until it expires.
func WithAccessToken(token string) Option { return WithOption("access_token", token) }

// WithTokenSource takes the access tokens from source. The client asks it for each operation, from several goroutines at once, and expects it
// to keep a token while that is good; refused says that Zoho refused the last one. ctx is that of the operation, which waits for source, and ends
// with its time ([WithTimeout]), too; when several batches run at once, their ctx never ends. An error of source reaches the caller of the operation.
func WithTokenSource(source func(ctx context.Context, refused bool) (string, error)) Option {
	return Option{func(config *cabi.Config) { config.Token = source }}
}

// TokenStore is a place where processes and machines share one access token: a row in a database, a key in Redis. Its methods are called
// from any number of goroutines, and from threads of the library. The document is secret. The contexts are those that a token source gets:
// see [WithTokenSource].
type TokenStore interface {
	// Get gives the document as it was last put; nil when there is none.
	Get(ctx context.Context) ([]byte, error)
	// Put stores the document in place of the old one, whole or not at all.
	Put(ctx context.Context, document []byte) error
	// TryLock tries to take the lock that everyone who shares the store respects, without waiting for it. It must end with its holder's process.
	TryLock(ctx context.Context) (bool, error)
	// Unlock gives the lock back. Its ctx never ends.
	Unlock(ctx context.Context)
}

// WithTokenStore lets all clients of one store share one access token, so that each expiry costs one token request in all. It is used
// only with [WithRefreshToken]. Its error reaches the caller of the operation.
func WithTokenStore(store TokenStore) Option {
	return Option{func(config *cabi.Config) { config.Store = store }}
}

// WithTokenFile is a token store for the processes of one machine: a file, readable only by its owner, that need not exist yet.
func WithTokenFile(path string) Option { return WithOption("token_file", path) }

// WithDataCenter names the data centre that the organisation is in: us, eu, in, au, jp, cn, ca, sa, ae or uk. The default is us.
// See https://www.zoho.com/crm/developer/docs/api/v8/multi-dc.html
func WithDataCenter(name string) Option { return WithOption("data_center", name) }

// WithEnvironment is production, which is the default, sandbox or developer.
func WithEnvironment(name string) Option { return WithOption("environment", name) }

// WithDomains names the hosts as URLs: the accounts server that gives tokens, and the API. An empty one stays that of the data centre.
func WithDomains(accounts, api string) Option {
	var both []Option
	if accounts != "" {
		both = append(both, WithOption("accounts_url", accounts))
	}
	if api != "" {
		both = append(both, WithOption("api_domain", api))
	}
	return options(both...)
}

// WithOption sets any setting of the library by its key, such as "api_version", "ca_file", "proxy" or "max_retries". The value is checked
// by [New].
func WithOption(key, value string) Option {
	return Option{func(config *cabi.Config) {
		config.Settings = append(config.Settings, cabi.Setting{Key: key, Value: value})
	}}
}

// DefaultMaxCalls is how many calls of a client are in the library at once unless [WithMaxCalls] says otherwise.
const DefaultMaxCalls = cabi.DefaultMaxCalls

// WithMaxCalls bounds how many calls of the client are in the library at once, each of which holds a thread of the operating system.
// Further ones wait in Go, where they hold no thread, until their context or their time ends. A call that waits for its Reader, Writer or
// other function lets another one in, as that may be the one it waits for. The more of them wait, the longer the next one does first: Readers
// that never come back fill neither threads nor descriptors. How many requests go to Zoho at once is another limit: the setting "max_in_flight".
func WithMaxCalls(n int) Option {
	return Option{func(config *cabi.Config) { config.MaxCalls = n }}
}

// WithLogger sends the library's log lines to logger: failed calls at level Error, waiting and trying again at Warn, a line for each call
// at Info, for each HTTP exchange at Debug. No line holds a token, a secret or bytes of a file. The handler gets the context of the call, and
// as far as the call has them the attributes operation, module, record_id, attachment_id and trace_id.
// A Reader, Writer or other function of yours that panics is logged with its stack, at Error.
func WithLogger(logger *slog.Logger) Option {
	return Option{func(config *cabi.Config) { config.Logger = logger }}
}

func options(several ...Option) Option {
	return Option{func(config *cabi.Config) {
		for _, option := range several {
			option.apply(config)
		}
	}}
}

// Version is the version of the libzcrm that is loaded.
func Version() string { return cabi.Version() }

// Grant is what you get for a grant code.
type Grant struct {
	RefreshToken Secret
	AccessToken  Secret
	APIDomain    string
	Scope        string
	ExpiresIn    time.Duration // life of the access token
}

// Secret is a text that isn't shown by accident: printing, logging or encoding it, by itself or within another value, writes that it is
// redacted. Reveal gives the text.
type Secret struct {
	reveal func() string // which reflection can't look into, unlike a text or a pointer to one
}

const redacted = "** redacted **"

// Reveal gives the text: to keep it, or for [WithRefreshToken].
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String shows no secret.
func (Secret) String() string { return redacted }

// GoString shows no secret.
func (Secret) GoString() string { return redacted }

// MarshalText shows no secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func secret(text string) Secret { return Secret{func() string { return text }} }

// ExchangeGrantCode exchanges a grant code, which works once and for a few minutes, for a refresh token to keep. Call it once, when you set up
// a connection. It needs the options [WithDataCenter] outside of the United States, and WithOption("redirect_uri", …) if the
// code was made with one. A code that is used up or expired is [ErrAuth].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
func ExchangeGrantCode(ctx context.Context, clientID, clientSecret, code string, opts ...Option) (*Grant, error) {
	const operation = "auth.exchange"
	credentials := []Option{WithOption("client_id", clientID), WithOption("client_secret", clientSecret), WithOption("grant_code", code)}
	answer, err := cabi.Exchange(ctx, configOf(append(credentials, opts...)), cabi.Call{Operation: operation})
	if err != nil {
		return nil, wrap(operation, err)
	}
	var decoded struct {
		Result struct {
			RefreshToken string `json:"refresh_token"`
			AccessToken  string `json:"access_token"`
			APIDomain    string `json:"api_domain"`
			Scope        string `json:"scope"`
			ExpiresIn    int64  `json:"expires_in"`
		} `json:"result"`
	}
	if err := json.Unmarshal(answer, &decoded); err != nil {
		return nil, wrap(operation, cabi.Unreadable(nil)) // err could quote a secret
	}
	r := decoded.Result
	return &Grant{secret(r.RefreshToken), secret(r.AccessToken), r.APIDomain, r.Scope, time.Duration(r.ExpiresIn) * time.Second}, nil
}
