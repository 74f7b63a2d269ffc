package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"lastgood/internal/config"
	"lastgood/internal/control"
)

const (
	controlPatience = 30 * time.Second // for a reply to begin: a flush goes through the whole cache
	maxReply        = 64 << 20         // octets of a reply that is no stream
)

// controlOptions say where a running server's control address is.
type controlOptions struct {
	control, config, tokenFile string
	json                       bool
}

func (o *controlOptions) register(fs *flag.FlagSet) {
	fs.StringVar(&o.control, "control", "", "the server's control `address` and port, or unix:/path (127.0.0.1:8053)")
	fs.StringVar(&o.config, "config", "", "take address and token from this configuration `file`")
	fs.StringVar(&o.tokenFile, "token-file", "", "the `file` with the server's token")
	fs.BoolVar(&o.json, "json", false, "print JSON")
}

// client speaks to a server's control API.
type client struct {
	where string // as people know it
	base  string // of URLs
	token string
	http  *http.Client
}

// client finds out where the server is; it does not ask it anything yet.
func (o *controlOptions) client() (*client, error) {
	cfg, err := loadConfig(o.config)
	if err != nil {
		return nil, err
	}
	at := cfg.Control.Listen
	if o.control != "" {
		if at, err = controlAddress(o.control); err != nil {
			return nil, err
		}
	}
	if !at.Enabled() {
		return nil, usagef("control.listen is off in %s: a server that runs with it cannot be asked", o.config)
	}
	file := cfg.Control.TokenFile
	if o.tokenFile != "" {
		file = o.tokenFile
	}
	c := &client{where: at.String()}
	if file != "" {
		if c.token, err = control.ReadToken(file); err != nil {
			return nil, configError{fmt.Errorf("lastgood: %w", err)}
		}
	}
	network, dial := "tcp", at.Addr.String()
	c.base = "http://" + dial
	if at.Socket != "" {
		network, dial, c.base = "unix", at.Socket, "http://localhost"
	} else if at.Addr.Addr().IsUnspecified() { // where a server listens, not where one is
		loopback := netip.MustParseAddr("127.0.0.1")
		if at.Addr.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		dial = netip.AddrPortFrom(loopback, at.Addr.Port()).String()
		c.base = "http://" + dial
	}
	c.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // no proxy: the token is for this server only
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, dial)
			},
			ResponseHeaderTimeout: controlPatience, DisableKeepAlives: true,
		},
	}
	return c, nil
}

// controlAddress reads what --control may be.
func controlAddress(text string) (config.ControlAddr, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok && path != "" {
		return config.ControlAddr{Socket: path}, nil
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
	if rest, ok := strings.CutPrefix(text, "localhost"); ok {
		text = "127.0.0.1" + rest
	}
	def := config.Default().Control.Listen.Addr.Port()
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return config.ControlAddr{Addr: ap}, nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return config.ControlAddr{Addr: netip.AddrPortFrom(addr, def)}, nil
	}
	return config.ControlAddr{}, usagef("--control: %q is no address (give 127.0.0.1:%d, [::1]:%d or unix:/run/lastgood/control.sock)", text, def, def)
}

// get asks for a value and gives it as JSON.
func (c *client) get(ctx context.Context, path string, q url.Values) ([]byte, error) {
	return c.whole(c.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil))
}

// post sends a value and gives the reply as JSON.
func (c *client) post(ctx context.Context, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.whole(c.do(ctx, http.MethodPost, path, data))
}

func (c *client) whole(res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, c.explain(err)
	}
	return data, nil
}

// stream asks for values that come one a line and hands each to take while the
// others are still on their way.
func (c *client) stream(ctx context.Context, path string, q url.Values, take func(json.RawMessage) error) error {
	res, err := c.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for dec := json.NewDecoder(res.Body); ; {
		var line json.RawMessage
		switch err := dec.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the list from %s is not complete: %w", c.where, err)
		}
		if err := take(line); err != nil {
			return err
		}
	}
}

// do sends a request and gives the reply if it is a good one.
func (c *client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+strings.TrimSuffix(path, "?"), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if err := c.check(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// check tells what is wrong with a reply.
func (c *client) check(res *http.Response) error {
	version := res.Header.Get(control.VersionHeader)
	switch {
	case res.StatusCode == http.StatusUnauthorized && c.token == "":
		return fmt.Errorf("%s wants a token: give --token-file FILE, the one that control.token-file names", c.where)
	case res.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s does not accept this token: give --token-file FILE, the one that control.token-file names there", c.where)
	case version == "":
		return fmt.Errorf("what answers at %s is not lastgood, or a version without this API (HTTP status %d)", c.where, res.StatusCode)
	case version != control.APIVersion:
		return fmt.Errorf("the server at %s is another version (its API is %s, this program's is %s): use the lastgood that belongs to it",
			c.where, printable([]byte(version)), control.APIVersion)
	case res.StatusCode == http.StatusOK:
		return nil
	}
	var p control.Problem
	data, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err := json.Unmarshal(data, &p); err != nil || p.Detail == "" {
		return fmt.Errorf("%s replied with HTTP status %d", c.where, res.StatusCode)
	}
	text := printable([]byte(p.Error()))
	if res.StatusCode == http.StatusBadRequest {
		return usagef("%s: %s", c.where, text)
	}
	return fmt.Errorf("%s: %s", c.where, text)
}

// explain adds a remedy to the errors that people meet.
func (c *client) explain(err error) error {
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: start `lastgood serve`, or say with --control or --config where it listens (control.listen)", c.where)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no socket %s: start `lastgood serve`, or say with --control or --config where it listens (control.listen)", c.where)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("this user may not use %s: be its owner, of its group, or root", c.where)
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("no reply from %s in time", c.where)
	}
	var wrapped *url.Error // names the URL, which tells people nothing
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("asking %s: %w", c.where, err)
}
