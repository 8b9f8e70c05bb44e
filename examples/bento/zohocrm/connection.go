package zohocrm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/warpstreamlabs/bento/public/service"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// connectionFields are the fields that every component has; each is the library's setting of the same name.
func connectionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField("profile").
			Description("Name of a login on this machine, as `zcrm login` writes one: `default` for the one that has no other name. The fields below come before what it says.").
			Default(""),
		service.NewStringField("profiles").Description("File of profiles in place of `~/.config/zcrm/profiles.toml`.").Default("").Advanced(),
		service.NewStringEnumField("data_center", words("data_center")...).
			Description("Zoho's data centre that the organisation is in: `us` when neither this nor the profile names one.").Optional(),
		service.NewStringField("client_id").Description("OAuth client id.").Default(""),
		service.NewStringField("client_secret").Description("OAuth client secret.").Secret().Default(""),
		service.NewStringField("refresh_token").Description("OAuth refresh token. Its scopes bound what can be done.").Secret().Default(""),
		service.NewStringField("access_token").Description("An access token in place of the three above, for a trial: it lasts an hour.").
			Secret().Default("").Advanced(),
		service.NewStringField("token_cache").
			Description("Label of a cache resource in which workers of several machines share one access token: see [zoho_crm_file](zoho_crm_file.md#one-access-token-for-all-workers).").
			Example("tokens").Default("").Advanced(),
		service.NewStringListField("allow_paths").
			Description("Directories below which messages may name files. None is allowed until it is named here.").
			Example([]string{"/srv/files"}).Default([]any{}),
		service.NewStringEnumField("api_version", words("api_version")...).
			Description("Version of Zoho's API: `v8` when neither this nor the profile names one.").Optional().Advanced(),
		service.NewStringField("accounts_url").Description("Another accounts server than that of the data centre: an emulator's.").Default("").Advanced(),
		service.NewStringField("api_domain").Description("Another API server than that of the data centre: an emulator's.").Default("").Advanced(),
		service.NewStringMapField("settings").
			Description("Further settings of the library by name, such as `token_file`, `max_in_flight`, `max_retries` and `ca_file`. No secret belongs here: `proxy: env` takes a proxy from `HTTPS_PROXY`.").
			Example(map[string]string{"token_file": "/var/lib/zcrm/token", "max_in_flight": "8"}).Default(map[string]any{}).Advanced(),
		service.NewDurationField("timeout").
			Description("Bound on one call with all its retries. A queue's redelivery time (`ack_wait`) must be longer than this.").Default("5m"),
	}
}

// description is what the library says of its steps and settings.
type description struct {
	Operations []struct{ ID string }
	Settings   []struct {
		Name string
		Enum []string
	}
}

var described = sync.OnceValue(func() (d description) {
	must(0, json.Unmarshal(zcrm.DescribeSteps(), &d))
	return d
})

// knows reports whether a step may ask for that operation.
func (d description) knows(operation string) bool {
	return slices.ContainsFunc(d.Operations, func(known struct{ ID string }) bool { return known.ID == operation })
}

// connectionLint are the cases of a lint rule that find what keeps a component from reaching Zoho.
func connectionLint() string {
	var known []string
	for _, setting := range described().Settings {
		known = append(known, strconv.Quote(setting.Name))
	}
	return `  this.profile.or("") == "" && this.profiles.or("") == "" && this.refresh_token.or("") == "" && this.access_token.or("") == "" => [ "no credentials: set profile, or client_id, client_secret and refresh_token, or access_token for a trial" ],
  this.refresh_token.or("") != "" && this.profile.or("") == "" && this.profiles.or("") == "" && this.access_token.or("") == "" && (this.client_id.or("") == "" || this.client_secret.or("") == "") => [ "refresh_token needs client_id and client_secret beside it" ],
  this.refresh_token.or("") != "" && this.access_token.or("") != "" => [ "access_token and refresh_token are both set; give one" ],
  [ this.api_domain.or(""), this.accounts_url.or("") ].any(url -> url != "" && !url.re_match("^https?://")) => [ "api_domain and accounts_url begin with https:// or http://" ],
  this.timeout.or("0s").string().has_prefix("-") => [ "timeout is negative; 0s is none" ],
  this.allow_paths.or([]).any(path -> path.contains(":")) => [ "an entry of allow_paths has a colon, which parts two directories" ],
  this.settings.or({}).keys().any(name -> ![ ` + strings.Join(known, ", ") + ` ].contains(name)) => [ "settings: there is no setting %v".format(this.settings.keys().filter(name -> ![ ` + strings.Join(known, ", ") + ` ].contains(name)).join(", ")) ],
`
}

// connection is how a component reaches the organisation. Components of one process with the same settings share one client, so that
// they share its access token and its open connections.
type connection struct {
	key     string
	options []zcrm.Option

	calls   sync.RWMutex // held for reading by calls in flight
	release func()       // of what open took; once
}

var shared = struct {
	sync.Mutex
	clients map[string]*sharedClient
}{clients: map[string]*sharedClient{}}

type sharedClient struct {
	*zcrm.Client
	users int
}

// open reads the fields and makes the client, which finds wrong settings before any message comes.
func open(conf *service.ParsedConfig, mgr *service.Resources) (*connection, error) {
	settings, err := conf.FieldStringMap("settings")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{
		"profile", "profiles", "data_center", "client_id", "client_secret", "refresh_token", "access_token", "api_version", "accounts_url", "api_domain",
	} {
		if !conf.Contains(name) {
			continue
		}
		value, err := conf.FieldString(name)
		if err != nil {
			return nil, err
		}
		if value == "" {
			continue
		}
		if _, twice := settings[name]; twice {
			return nil, fmt.Errorf("settings.%s: there is a field %s of its own; give it there", name, name)
		}
		settings[name] = value
	}
	paths, err := conf.FieldStringList("allow_paths")
	if err != nil {
		return nil, err
	}
	for i, path := range paths {
		if strings.Contains(path, ":") {
			return nil, fmt.Errorf("allow_paths[%d]: %q has a colon, which parts two directories; rename it, or allow the one above it", i, path)
		}
	}
	if len(paths) > 0 {
		settings["allow_paths"] = strings.Join(paths, ":")
	}
	c := newConnection(settings, mgr.Logger())
	name, err := conf.FieldString("token_cache")
	if err != nil {
		return nil, err
	}
	if name != "" {
		tokens, err := newTokenCache(name, mgr)
		if err != nil {
			return nil, err
		}
		c.options = append(c.options, zcrm.WithTokenStore(tokens))
		c.key += fmt.Sprintf("token_cache=%q of %p", name, mgr) // the cache is closed with this component's stream
	}
	_, release, err := c.acquire()
	if err != nil {
		return nil, err
	}
	c.release = sync.OnceFunc(release)
	return c, nil
}

func newConnection(settings map[string]string, logger *service.Logger) *connection {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	c := &connection{options: []zcrm.Option{zcrm.WithLogger(newLogger(logger))}}
	if settings["profile"] != "" || settings["profiles"] != "" {
		c.options = append(c.options, zcrm.WithProfile(settings["profiles"], settings["profile"]))
	}
	for _, name := range names {
		c.key += fmt.Sprintf("%q=%q ", name, settings[name])
		if name == "profile" || name == "profiles" {
			continue
		}
		c.options = append(c.options, zcrm.WithOption(name, settings[name]))
	}
	return c
}

// acquire gives the client until release is called.
func (c *connection) acquire() (client *zcrm.Client, release func(), err error) {
	shared.Lock()
	defer shared.Unlock()
	found := shared.clients[c.key]
	if found == nil {
		made, err := zcrm.New(c.options...)
		if err != nil {
			return nil, nil, err
		}
		found = &sharedClient{Client: made}
		shared.clients[c.key] = found
	}
	found.users++
	return found.Client, func() {
		shared.Lock()
		defer shared.Unlock()
		if found.users--; found.users == 0 {
			delete(shared.clients, c.key)
			_ = found.Close()
		}
	}, nil
}

// use runs a call with the client. It works after Close as well: the engine closes a processor when its first thread ends, and another
// thread may have a message for it still.
func (c *connection) use(call func(*zcrm.Client) error) error {
	c.calls.RLock()
	defer c.calls.RUnlock()
	client, release, err := c.acquire()
	if err != nil {
		return err
	}
	defer release()
	return call(client)
}

// Close waits for the calls in flight. The engine calls it once for each thread.
func (c *connection) Close(context.Context) error {
	c.calls.Lock()
	defer c.calls.Unlock()
	c.release()
	return nil
}

// words are what the library's setting may be.
func words(name string) []string {
	for _, setting := range described().Settings {
		if setting.Name == name {
			return setting.Enum
		}
	}
	return nil
}
