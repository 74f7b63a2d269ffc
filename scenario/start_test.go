package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"lastgood/internal/app"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
)

// start brings authorities and app up, once.
func (w *world) start() error {
	if w.app != nil {
		return nil
	}
	if len(w.serves(dnsname.Root)) == 0 {
		if err := w.addServer(rootServer); err != nil {
			return err
		}
	}
	for _, s := range w.servers {
		if err := s.start(); err != nil {
			return err
		}
		if _, root := s.zones[dnsname.Root]; root && !s.noHint {
			w.hints = append(w.hints, cache.NameServer{Name: dnsname.MustParse(s.name), Addrs: s.addrs})
		}
	}
	return w.boot()
}

// boot brings the app up, for the first time or again.
func (w *world) boot() error {
	cfg, err := w.configure()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(&w.trace.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := app.New(app.Options{
		Config: cfg, Log: log, Events: w.trace.event, Upstream: w.host, Listen: w.host, Hints: w.hints, Seed: w.seed,
		Clock: clock.Simulated(&w.shift), Snapshot: w.snapshot(cfg), State: w.state,
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	w.app = a
	return a.Start()
}

// snapshot is where the app keeps its cache, "" for nowhere: a scenario has none
// unless its configuration says so.
func (w *world) snapshot(c *config.Config) string {
	if !strings.HasPrefix(c.Cache.Snapshot, w.state) {
		return ""
	}
	return c.Cache.Snapshot
}

// configure makes the configuration of the file or the config statements.
func (w *world) configure() (*config.Config, error) {
	text := w.script.files[configFile]
	if len(w.config) > 0 {
		if text != "" {
			return nil, errors.New("both config statements and " + configFile)
		}
		text = nested(w.config)
	}
	c, err := config.Parse(configFile, []byte(strings.ReplaceAll(text, "$STATE", w.state)))
	if err != nil {
		return nil, err
	}
	c.DNSSEC.TrustAnchors = append(c.DNSSEC.TrustAnchors, w.anchors...)
	if !strings.Contains(text, "validation:") { // a world without anchors is not signed
		c.DNSSEC.Validation = len(w.anchors) > 0
	}
	d := config.Default()
	if reflect.DeepEqual(c.Listen, d.Listen) {
		c.Listen = nil
		for _, a := range []netip.Addr{resolver4, resolver6} {
			c.Listen = append(c.Listen, config.Endpoint{Scheme: "dns", Addr: netip.AddrPortFrom(a, 53)})
		}
	}
	if reflect.DeepEqual(c.Clients.Allow, d.Clients.Allow) {
		c.Clients.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	}
	return c, nil
}

// nested makes YAML of settings such as cache.max-ttl=1d.
func nested(settings []string) string {
	var b strings.Builder
	sections := map[string][]string{}
	var order []string
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		section, rest, deep := strings.Cut(key, ".")
		if !deep {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
			continue
		}
		if !slices.Contains(order, section) {
			order = append(order, section)
		}
		sections[section] = append(sections[section], "  "+rest+": "+value+"\n")
	}
	for _, section := range order {
		b.WriteString(section + ":\n" + strings.Join(sections[section], ""))
	}
	return b.String()
}

func (w *world) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := w.app.Stop(ctx); err != nil {
		return fmt.Errorf("%s: stop: %w", w.script.file, err)
	}
	return nil
}
