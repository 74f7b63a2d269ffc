package app

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"lastgood/internal/config"
)

// wiring is what every part is told of a configuration, as text.
func (a *App) wiring(c *config.Config) string {
	a.o.Config, a.stale = c, staleRules(c)
	known := infraOptions(c, 1)
	known.Rand = nil
	walk := a.iteratorOptions(nil, nil, nil, 1)
	allowed := walk.Allowed(netip.MustParseAddr("127.0.0.1"))
	lapsed := walk.AnswerTTL("\x01y\x00")
	walk.Rand, walk.Allowed, walk.AnswerTTL = nil, nil, nil
	client := a.resolverOptions(nil, nil)
	synthesises, sentinel := client.Aggressive != nil, client.RootTags != nil
	client.Panicked, client.Aggressive, client.RootTags, client.Work.Work = nil, nil, nil, nil
	stored := cacheOptions(c, a.stale, 1)
	policies := fmt.Sprintf("%+v %+v %+v %+v", *stored.Stale.For("\x01x\x00"), *stored.Stale.For("\x01y\x00"),
		*client.Stale.For("\x01x\x00"), *client.Stale.For("\x01y\x00"))
	stored.Stale, client.Stale = nil, nil // pointers, of which no two are alike
	return fmt.Sprintf("%v %v %+v %s\n%+v\n%+v\n%+v\n%+v %v %d\n%+v\n%+v",
		synthesises, sentinel, a.validationPolicy(), policies, stored, known, a.upstreamOptions(nil), walk, allowed, lapsed, client, a.listenerOptions(nil))
}

// Every key that is not about files, the log or the control address (which the
// tests of cli and control see at work) changes what some part is told.
func TestKeysReachTheirParts(t *testing.T) {
	a, err := New(Options{Config: config.Default(), Log: slog.New(slog.DiscardHandler), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	plain := a.wiring(config.Default())
	if plain != a.wiring(config.Default()) {
		t.Fatal("two wirings of the same configuration differ: the test would prove nothing")
	}
	for _, text := range []string{
		`listen: ["192.0.2.1"]`, `clients: {allow: []}`,
		`server: {version: x}`, `server: {id: x}`, `server: {cookies: false}`,
		`cache: {size: 2MiB}`, `cache: {min-ttl: 1s}`, `cache: {max-ttl: 1d}`,
		`cache: {min-negative-ttl: 1s}`, `cache: {max-negative-ttl: 1m}`,
		`recursion: {qname-minimisation: strict}`, `recursion: {qname-minimisation: "off"}`,
		`recursion: {minimal-responses: false}`, `recursion: {case-randomisation: false}`,
		`recursion: {ipv4: false}`, `recursion: {ipv6: false}`, `recursion: {special-names: false}`, `recursion: {do-not-query: []}`,
		`limits: {upstream-queries: 7}`, `limits: {ns-lookups: 7}`, `limits: {cname-hops: 7}`, `limits: {depth: 7}`,
		`limits: {records-per-section: 77}`, `limits: {reply-bytes: 64KiB}`, `limits: {resolution-deadline: 2s}`,
		`limits: {flights: 77}`, `limits: {clients-waiting: 77}`, `limits: {outstanding-per-client: 7}`,
		`limits: {tcp-connections: 7}`, `limits: {tcp-connections-per-client: 7}`, `limits: {tcp-idle-timeout: 1s}`,
		`limits: {tcp-pipeline: 7}`, `limits: {udp-size: 600B}`, `limits: {failure-min: 2s}`, `limits: {failure-max: 1m}`,
		`recursion: {prefetch: false}`, `stale: {enabled: false}`, `stale: {error-text: false}`, `stale: {never-for-clients: [192.0.2.0/24]}`,
		`stale: {max-stale: 2d}`, `stale: {max-stale-negative: 1m}`, `stale: {answer-ttl: 1s}`, `stale: {failure-recheck: 1m}`,
		`stale: {positive-only: true}`, `stale: {on-refused: refuse}`,
		`stale: {client-timeout: 1s}`, `stale: {never-for: [x.]}`, `stale: {zones: [{zone: x., answer-ttl: 1s}]}`,
		`dnssec: {aggressive-nsec: false}`, `dnssec: {sentinel: false}`, `dnssec: {sha1: false}`,
		`forward: [{zone: x., to: ["192.0.2.1"]}]`, `stub: [{zone: x., servers: ["192.0.2.1"]}]`,
	} {
		c, err := config.Parse("test", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if a.wiring(c) == plain {
			t.Errorf("%s has no effect", text)
		}
	}
	forward := func(rest string) string {
		c, err := config.Parse("test", []byte(`forward: [{zone: x., `+rest+`}]`))
		if err != nil {
			t.Fatal(err)
		}
		return a.wiring(c)
	}
	if forward(`to: ["192.0.2.1"]`) == forward(`to: ["192.0.2.1"], fallback: true`) ||
		forward(`to: ["192.0.2.1"]`) == forward(`to: ["tcp://192.0.2.1"]`) {
		t.Error("fallback or the transport has no effect")
	}
}

// What forward and stub zones name by address is asked though do-not-query has it,
// and nothing else there is.
func TestConfiguredServersAreAsked(t *testing.T) {
	c, err := config.Parse("test", []byte(`
listen: ["[::]:5353"]
forward: [{zone: x., to: ["tls://127.0.0.1#dns.example", "127.0.0.1:5353"]}]
stub: [{zone: y., servers: ["::1", "ns1.example."]}]`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.upstreamOptions(nil).Configured); got != "[127.0.0.1:853 127.0.0.1:5353 [::1]:53]" {
		t.Error(got)
	}
	if a.iteratorOptions(nil, nil, nil, 1).Allowed(netip.MustParseAddr("127.0.0.1")) {
		t.Error("a delegation may lead there too")
	}
}
