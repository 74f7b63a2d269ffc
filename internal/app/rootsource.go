package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/resolver"
	"lastgood/internal/rootzone"
	"lastgood/internal/upstream"
	"lastgood/internal/wire"
)

// Bounds of what a source may send, beside those of the zone itself. The root zone
// was 1.4 MB in messages and 2.3 MB as text when they were set.
const (
	maxTransfer  = 16 << 20
	maxText      = 8 << 20
	maxAddresses = 4 // of a server that are tried in one attempt
)

// givers are the servers that are known to give the root zone to everybody (RFC
// 8806 app. A).
var givers = []string{ // constant in effect
	"b.root-servers.net", "c.root-servers.net", "d.root-servers.net", "f.root-servers.net", "g.root-servers.net", "k.root-servers.net",
	"lax.xfr.dns.icann.org", "iad.xfr.dns.icann.org",
}

// rootSources are those of the configuration. Without any they are the givers, or
// the servers of hints that are somebody's own: those of another root.
func (a *App) rootSources(hints []cache.NameServer) []rootSource {
	c := a.o.Config
	if c.RootZone.Mode != "local" {
		return nil
	}
	var list []rootSource
	server := func(e config.Endpoint) {
		list = append(list, &serverSource{
			endpoint: e, app: a, known: hintsOf(hints, e.Host), ipv4: c.Recursion.IPv4, ipv6: c.Recursion.IPv6,
		})
	}
	for _, s := range c.RootZone.Sources {
		switch {
		case s.URL != "":
			list = append(list, newHTTPSSource(s.URL, a.dialName, nil, a.clock.Wall))
		case s.File != "":
			list = append(list, fileSource(s.File))
		default:
			server(s.Server)
		}
	}
	if len(list) > 0 {
		return list
	}
	names := givers
	if a.o.Hints != nil || c.Recursion.RootHints != "" {
		names = nil
		for _, h := range hints {
			names = append(names, h.Name.String())
		}
	}
	for _, name := range names {
		server(config.Endpoint{Scheme: "tcp", Host: dnsname.MustParse(name), Addr: netip.AddrPortFrom(netip.Addr{}, 53)})
	}
	return list
}

// hintsOf gives a server's addresses by the root hints.
func hintsOf(hints []cache.NameServer, name dnsname.Name) []netip.Addr {
	for _, h := range hints {
		if h.Name == name {
			return h.Addrs
		}
	}
	return nil
}

// serverSource is a server that gives zone transfers.
type serverSource struct {
	endpoint   config.Endpoint
	app        *App
	known      []netip.Addr // its addresses, as far as hints have them
	ipv4, ipv6 bool
}

func (s *serverSource) String() string { return s.endpoint.String() }

// fetch asks the server's addresses one after the other.
func (s *serverSource) fetch(ctx context.Context, have *rootzone.Data, _ func(uint32) error) (*rootzone.Data, error) {
	addrs, err := s.addresses(ctx)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, addr := range addrs {
		data, err := s.transfer(ctx, netip.AddrPortFrom(addr, s.endpoint.Addr.Port()), have)
		switch {
		case err == nil, errors.Is(err, rootzone.ErrSame), errors.Is(err, rootzone.ErrOlder), errors.Is(err, rootzone.ErrDifference):
			return data, err
		case s.endpoint.Host != "":
			err = fmt.Errorf("%s: %w", addr, err)
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, oneLine(failures)
}

// oneLine puts errors into a line.
func oneLine(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

// addresses are those to try: the configured one, the hints', or what the name
// resolves to, by ourselves.
func (s *serverSource) addresses(ctx context.Context) ([]netip.Addr, error) {
	if addr := s.endpoint.Addr.Addr(); addr.IsValid() {
		return []netip.Addr{addr}, nil
	}
	addrs := slices.Clone(s.known)
	if len(addrs) == 0 {
		var err error
		if addrs, err = s.app.lookup(ctx, s.endpoint.Host); err != nil {
			return nil, err
		}
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a.Is4() && !s.ipv4 || a.Is6() && !s.ipv6 })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address of a family that may be used", s.endpoint.Host)
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// transfer asks one address.
func (s *serverSource) transfer(ctx context.Context, server netip.AddrPort, have *rootzone.Data) (*rootzone.Data, error) {
	t := rootzone.NewTransfer(have)
	err := s.app.upstream.Transfer(ctx, upstream.Transfer{
		Server: server, TLS: s.endpoint.TLSName, Zone: dnsname.Root, MaxBytes: maxTransfer,
		Request: func(dst []byte, id uint16) []byte { return rootzone.AppendRequest(dst, id, have) },
		Take: func(v wire.View) (bool, error) {
			if v.Trailing() > 0 {
				return false, errTrailing
			}
			return t.Add(v)
		},
	})
	if err != nil {
		return nil, err
	}
	return t.Data()
}

var errTrailing = errors.New("octets behind the end of a message")

var errNoAddress = errors.New("it has no address")

// lookup resolves the name of a source. The copy cannot be of help with it the first
// time: the root servers are.
func (a *App) lookup(ctx context.Context, name dnsname.Name) ([]netip.Addr, error) {
	var addrs []netip.Addr
	var failure error = errNoAddress
	for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		answer := a.resolver.Resolve(ctx, resolver.Query{Name: name, Type: t, RD: true, Arrival: a.clock.Now()})
		if len(answer.Chain) == 0 {
			if len(answer.Errors) > 0 {
				failure = answer.Errors[0]
			}
			continue
		}
		last := &answer.Chain[len(answer.Chain)-1].Entry
		if last.Kind != cache.Data || last.Type != t {
			continue
		}
		for rdata := range last.Set.Data.All() {
			if addr, ok := netip.AddrFromSlice(rdata); ok {
				addrs = append(addrs, addr)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("the name %s: %w", name, failure)
	}
	return addrs, nil
}

// fileSource is a zone file, which somebody else keeps current.
type fileSource string

func (s fileSource) String() string { return string(s) }

func (s fileSource) fetch(ctx context.Context, _ *rootzone.Data, judge func(uint32) error) (*rootzone.Data, error) {
	info, err := os.Stat(string(s))
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", string(s))
	}
	f, err := os.Open(string(s))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readZone(ctx, string(s), f, judge)
}

// readZone reads a zone file. It ends early, with judge's error, when the serial is
// not worth it.
func readZone(ctx context.Context, file string, r io.Reader, judge func(uint32) error) (*rootzone.Data, error) {
	text := &bounded{ctx: ctx, r: r, left: maxText}
	records, at := authority.ReadRecords(dnsname.Root, file, text)
	data, err := rootzone.Build(judged(records, at, judge))
	if text.failed != nil {
		err = text.failed // what was read before may look like a zone, or like a mistake in one
	}
	if err != nil && !strings.HasPrefix(err.Error(), file+":") && !errors.Is(err, rootzone.ErrSame) && !errors.Is(err, rootzone.ErrOlder) {
		err = fmt.Errorf("%s: %w", at(), err) // what is wrong with a record, or with all of them, at the last
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return data, err
}

// judged gives a zone file's records until judge has something against the serial.
func judged(records iter.Seq2[authority.Record, error], at func() string, judge func(uint32) error) iter.Seq2[rootzone.Record, error] {
	return func(yield func(rootzone.Record, error) bool) {
		for rec, err := range records {
			if err == nil && rec.Type == wire.TypeSOA && rec.Name.IsRoot() {
				if serial, ok := rootzone.SerialOf(rec.Data); ok {
					err = judge(serial)
				}
			}
			if !yield(rootzone.Record{Name: rec.Name, Type: rec.Type, TTL: rec.TTL, Data: rec.Data}, err) || err != nil {
				return
			}
		}
	}
}

// bounded reads so much, while ctx lasts.
type bounded struct {
	ctx  context.Context
	r    io.Reader
	left int

	failed error // other than the end
}

var errText = fmt.Errorf("more than %d octets", maxText)

// Read is that of [io.Reader].
func (b *bounded) Read(p []byte) (n int, err error) {
	switch {
	case b.ctx.Err() != nil:
		err = b.ctx.Err()
	case b.left <= 0:
		err = errText
	default:
		n, err = b.r.Read(p[:min(len(p), b.left)])
		b.left -= n
	}
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}
