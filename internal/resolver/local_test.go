package resolver

import (
	"context"
	"net/netip"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// record is one record of local data.
func record(owner string, t wire.Type, ttl uint32, rdata string) rrset.Set {
	e := entry(owner, t, ttl, rdata)
	return e.Set
}

func addr(s string) string { return string(netip.MustParseAddr(s).AsSlice()) }

// withLocal configures one zone of each kind, and data in and outside of them.
func withLocal(o *Options) {
	for zone, kind := range map[string]LocalKind{
		"transparent.": LocalTransparent, "types.": LocalTypeTransparent, "static.": LocalStatic,
		"refuse.": LocalRefuse, "blocked.": LocalNXDomain, "redirect.": LocalRedirect, "sub.blocked.": LocalStatic, "empty.": LocalRedirect,
	} {
		o.LocalZones = append(o.LocalZones, LocalZone{name(zone), kind})
	}
	soa := string(specialSOA(name("static.")).Data.First())
	soa = soa[:len(soa)-4] + "\x00\x00\x00\x3c"
	for _, zone := range []string{"example.", "transparent.", "types.", "static.", "refuse."} {
		o.LocalData = append(o.LocalData,
			record("a."+zone, wire.TypeA, 300, addr("192.0.2.9")), record("a."+zone, wire.TypeA, 300, addr("192.0.2.10")),
			record("alias."+zone, wire.TypeCNAME, 100, string(name("www.public."))),
			record("up.deep."+zone, wire.TypeA, 300, addr("192.0.2.9")),
			record("*.wild."+zone, wire.TypeA, 300, addr("192.0.2.8")))
	}
	o.LocalData = append(o.LocalData,
		record("static.", wire.TypeSOA, 500, soa), record("redirect.", wire.TypeA, 300, addr("192.0.2.7")),
		record("printer.localhost.", wire.TypeA, 300, addr("192.0.2.6")),
		record("tolocal.example.", wire.TypeCNAME, 50, string(name("a.static."))),
		record("toblocked.example.", wire.TypeCNAME, 50, string(name("x.blocked."))),
		record("torefused.example.", wire.TypeCNAME, 50, string(name("x.refuse."))),
	)
}

// public answers everything with an address, and tells what was asked.
func public(asked *[]string) script {
	return func(_ context.Context, req iterator.Request) iterator.Result {
		*asked = append(*asked, req.Name.String())
		return iterator.Result{Entries: []cache.Entry{entry(req.Name.String(), req.Type, 60, addr("198.51.100.1"))}}
	}
}

var localCases = []struct {
	name string
	typ  wire.Type
	want string
}{
	{"a.example.", wire.TypeA, "NOERROR a.example./A:300"},
	{"a.example.", wire.TypeAAAA, "NOERROR a.example./AAAA:10800"}, // as in a transparent zone: the name is here
	{"deep.example.", wire.TypeA, "NOERROR deep.example./A:60"},    // nothing is listed at an empty non-terminal
	{"b.example.", wire.TypeA, "NOERROR b.example./A:60"},
	{"example.", wire.TypeA, "NOERROR example./A:60"},
	{"x.y.wild.example.", wire.TypeA, "NOERROR x.y.wild.example./A:300"},
	{"x.wild.example.", wire.TypeTXT, "NOERROR x.wild.example./TXT:10800"},
	{"wild.example.", wire.TypeA, "NOERROR wild.example./A:60"}, // a wildcard is not for the name above it
	{"x.a.example.", wire.TypeA, "NOERROR x.a.example./A:60"},
	{"alias.example.", wire.TypeA, "NOERROR alias.example./CNAME:100 www.public./A:60"},
	{"alias.example.", wire.TypeCNAME, "NOERROR alias.example./CNAME:100"},
	{"tolocal.example.", wire.TypeA, "NOERROR tolocal.example./CNAME:50 a.static./A:300"},
	{"toblocked.example.", wire.TypeA, "NXDOMAIN toblocked.example./CNAME:50 x.blocked./A:10800 LZON"},
	{"torefused.example.", wire.TypeA, "REFUSED LZON"},

	{"a.transparent.", wire.TypeAAAA, "NOERROR a.transparent./AAAA:10800"},
	{"b.transparent.", wire.TypeA, "NOERROR b.transparent./A:60"},
	{"a.types.", wire.TypeA, "NOERROR a.types./A:300"},
	{"a.types.", wire.TypeTXT, "NOERROR a.types./TXT:60"},
	{"b.types.", wire.TypeA, "NOERROR b.types./A:60"},

	{"a.static.", wire.TypeA, "NOERROR a.static./A:300"},
	{"a.static.", wire.TypeAAAA, "NOERROR a.static./AAAA:60"}, // the least of the SOA record's TTL and MINIMUM
	{"b.static.", wire.TypeA, "NXDOMAIN b.static./A:60"},
	{"deep.static.", wire.TypeA, "NOERROR deep.static./A:60"},
	{"x.deep.static.", wire.TypeA, "NXDOMAIN x.deep.static./A:60"},
	{"static.", wire.TypeA, "NOERROR static./A:60"},
	{"static.", wire.TypeSOA, "NOERROR static./SOA:500"},
	{"b.static.", wire.TypeANY, "NXDOMAIN b.static./ANY:60"},
	{"a.static.", wire.TypeANY, "NOERROR a.static./HINFO:3600"},

	{"a.refuse.", wire.TypeA, "NOERROR a.refuse./A:300"},
	{"b.refuse.", wire.TypeA, "REFUSED LZON"},
	{"b.refuse.", wire.TypeANY, "REFUSED LZON"},
	{"refuse.", wire.TypeA, "REFUSED LZON"},

	{"blocked.", wire.TypeA, "NXDOMAIN blocked./A:10800 LZON"},
	{"x.y.blocked.", wire.TypeHTTPS, "NXDOMAIN x.y.blocked./HTTPS:10800 LZON"},
	{"x.sub.blocked.", wire.TypeA, "NXDOMAIN x.sub.blocked./A:10800"}, // the longest zone counts

	{"redirect.", wire.TypeA, "NOERROR redirect./A:300"},
	{"x.y.redirect.", wire.TypeA, "NOERROR x.y.redirect./A:300"},
	{"x.redirect.", wire.TypeAAAA, "NOERROR x.redirect./AAAA:10800"},
	{"x.empty.", wire.TypeA, "NOERROR x.empty./A:10800"},

	{"printer.localhost.", wire.TypeA, "NOERROR printer.localhost./A:300"}, // before special names
	{"other.localhost.", wire.TypeA, "NOERROR other.localhost./A:10800"},   // which go on around it
}

// Names of local zones by kind, as users of Unbound know them.
func TestLocalNames(t *testing.T) {
	var asked []string
	r, _ := newTest(t, withLocal, public(&asked))
	for range 2 { // what is resolved comes from the cache the second time
		for _, c := range localCases {
			if got := shape(r.ask(c.name, c.typ)); got != c.want {
				t.Errorf("%s %s:\ngot  %s\nwant %s", c.name, c.typ, got, c.want)
			}
		}
	}
	if a := r.ask("a.static.", wire.TypeA); a.Chain[0].Entry.Set.Data.Len() != 2 || !a.Local {
		t.Errorf("two records are joined, and the answer is ours: %+v", a)
	}
	if a := r.ask("x.y.redirect.", wire.TypeA); a.Chain[0].Entry.Set.Name != name("x.y.redirect.") {
		t.Errorf("redirected to another owner: %v", a.Chain[0].Entry.Set.Name)
	}
	if a := r.ask("b.example.", wire.TypeA); a.Local {
		t.Error("a public answer is said to be ours")
	}
	// Without RD too: nothing is looked up for it.
	q := Query{Name: name("a.example."), Type: wire.TypeA}
	expect(t, r.Resolve(t.Context(), q), "NOERROR a.example./A:300")
}

// The cache's path says the same as the other, or leaves it to that one.
func TestCachedAnswersLocalNames(t *testing.T) {
	var asked []string
	r, _ := newTest(t, withLocal, public(&asked))
	local := 0
	for _, c := range localCases {
		want := r.ask(c.name, c.typ)
		if got, out, ok := fromCacheAlone(r, c.name, c.typ); ok {
			var b wire.Builder
			b.Reset(nil, wire.MaxMessage, wire.Header{Response: true})
			b.Question(name(c.name), c.typ, wire.ClassIN)
			wantOut := want.Write(&b)
			if string(got) != string(b.Bytes()) || out != wantOut {
				t.Errorf("%s %s:\ngot  %x %+v\nwant %x %+v", c.name, c.typ, got, out, b.Bytes(), wantOut)
			}
			if out.AA {
				local++
			}
		}
	}
	if local < 15 {
		t.Errorf("only %d local answers without a flight's goroutine", local)
	}
}

func fromCacheAlone(r *Resolver, owner string, typ wire.Type) ([]byte, Outcome, bool) {
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{Response: true})
	b.Question(name(owner), typ, wire.ClassIN)
	q := Query{Name: name(owner), Type: typ, RD: true, Arrival: r.clock.Now()}
	out, ok := r.Cached(new(cache.Reader), &q, &b)
	return b.Bytes(), out, ok
}

// Local data hides what servers say of a name, also when a reply about another
// brought it into the cache.
func TestLocalDataGoesBeforeTheCache(t *testing.T) {
	r, _ := newTest(t, withLocal, func(_ context.Context, req iterator.Request) iterator.Result {
		return iterator.Result{Entries: []cache.Entry{alias(req.Name.String(), 60, "a.static."), address("a.static.", 60, 66)}}
	})
	for range 2 {
		a := r.ask("www.public.", wire.TypeA)
		expect(t, a, "NOERROR www.public./CNAME:60 a.static./A:300")
		if got := a.Chain[1].Entry.Set.Data.First(); string(got) != addr("192.0.2.9") {
			t.Errorf("the alias leads to %v", got)
		}
		if _, _, ok := fromCacheAlone(r, "www.public.", wire.TypeA); ok {
			t.Error("the cache's path overlooks local data behind an alias")
		}
	}
}

// Name servers are found as if there were no local data: a blocked name's server
// may serve others.
func TestNameServersAreNotLocal(t *testing.T) {
	var asked []string
	r, _ := newTest(t, withLocal, public(&asked))
	got, _, err := r.Addresses(t.Context(), iterator.Request{Budget: iterator.NewBudget(5, 1<<20)}, name("ns.blocked."), wire.TypeA)
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("198.51.100.1") {
		t.Errorf("%v, %v", got, err)
	}
	expect(t, r.ask("ns.blocked.", wire.TypeA), "NXDOMAIN ns.blocked./A:10800 LZON")
}

// withPrivate protects from some private networks.
func withPrivate(o *Options) {
	withLocal(o)
	for _, p := range []string{"10.0.0.0/8", "192.168.0.0/16", "fc00::/7", "192.0.2.0/24"} {
		o.PrivateAddresses = append(o.PrivateAddresses, netip.MustParsePrefix(p))
	}
	o.PrivateDomains = []dnsname.Name{name("corp."), name("in.mixed.")}
}

// service is an HTTPS record with address hints.
func service(v4, v6 string) string {
	rd := "\x00\x01\x00" + "\x00\x01\x00\x03\x02h2"
	if v4 != "" {
		rd += "\x00\x04\x00\x08" + addr("198.51.100.1") + addr(v4)
	}
	if v6 != "" {
		rd += "\x00\x06\x00\x10" + addr(v6)
	}
	return rd
}

// rebinding is what servers say, of addresses that are private and some that are not.
func rebinding() map[string][]cache.Entry {
	world := map[string][]cache.Entry{}
	add := func(owner string, e ...cache.Entry) { world[owner] = e }
	a := func(owner string, addrs ...string) cache.Entry {
		var rds []string
		for _, s := range addrs {
			rds = append(rds, addr(s))
		}
		typ := wire.TypeA
		if len(rds[0]) == 16 {
			typ = wire.TypeAAAA
		}
		return entry(owner, typ, 60, rds...)
	}
	add("public.", a("public.", "198.51.100.1"))
	add("rebind.", a("rebind.", "10.1.2.3"))
	add("some.", a("some.", "10.1.2.3", "198.51.100.1", "192.168.1.1"))
	add("six.", a("six.", "fd00::1"))
	add("mapped.", a("mapped.", "::ffff:10.1.2.3"))
	add("nat64.", a("nat64.", "64:ff9b::10.1.2.3"))
	add("nat64-public.", a("nat64-public.", "64:ff9b::198.51.100.1"))
	add("https.", entry("https.", wire.TypeHTTPS, 60, service("10.1.2.3", ""), service("", "2001:db8::1")))
	add("https6.", entry("https6.", wire.TypeHTTPS, 60, service("", "fd00::1")))
	add("printer.corp.", a("printer.corp.", "10.1.2.3"))
	add("alias.", alias("alias.", 60, "rebind."))
	add("into.", alias("into.", 60, "printer.corp."))       // a stranger's alias to what is ours
	add("out.corp.", alias("out.corp.", 60, "rebind."))     // ours to what a stranger may change
	add("our.corp.", alias("our.corp.", 60, "x.in.mixed.")) // ours to ours
	add("x.in.mixed.", a("x.in.mixed.", "10.1.2.3"))
	add("tolocal.", alias("tolocal.", 60, "a.static."))
	return world
}

func TestPrivateAddresses(t *testing.T) {
	world := rebinding()
	r, it := newTest(t, withPrivate, func(_ context.Context, req iterator.Request) iterator.Result {
		return iterator.Result{Entries: world[req.Name.String()]}
	})
	for range 2 { // from servers, and from the cache
		for _, c := range []struct {
			name string
			typ  wire.Type
			want string
			left int // records of the last hop
		}{
			{"public.", wire.TypeA, "NOERROR public./A:60", 1},
			{"rebind.", wire.TypeA, "NOERROR rebind./A:60 PRIV", 0},
			{"some.", wire.TypeA, "NOERROR some./A:60 PRIV", 1},
			{"six.", wire.TypeAAAA, "NOERROR six./AAAA:60 PRIV", 0},
			{"mapped.", wire.TypeAAAA, "NOERROR mapped./AAAA:60 PRIV", 0},
			{"nat64.", wire.TypeAAAA, "NOERROR nat64./AAAA:60 PRIV", 0},
			{"nat64-public.", wire.TypeAAAA, "NOERROR nat64-public./AAAA:60", 1},
			{"https.", wire.TypeHTTPS, "NOERROR https./HTTPS:60 PRIV", 1},
			{"https6.", wire.TypeHTTPS, "NOERROR https6./HTTPS:60 PRIV", 0},
			{"printer.corp.", wire.TypeA, "NOERROR printer.corp./A:60", 1},
			{"alias.", wire.TypeA, "NOERROR alias./CNAME:60 rebind./A:60 PRIV", 0},
			{"into.", wire.TypeA, "NOERROR into./CNAME:60 printer.corp./A:60 PRIV", 0},
			{"out.corp.", wire.TypeA, "NOERROR out.corp./CNAME:60 rebind./A:60 PRIV", 0},
			{"our.corp.", wire.TypeA, "NOERROR our.corp./CNAME:60 x.in.mixed./A:60", 1},
			{"a.static.", wire.TypeA, "NOERROR a.static./A:300", 2},
			{"tolocal.example.", wire.TypeA, "NOERROR tolocal.example./CNAME:50 a.static./A:300", 2},
			{"tolocal.", wire.TypeA, "NOERROR tolocal./CNAME:60 a.static./A:300 PRIV", 0},
		} {
			before := r.Stats().Private
			got := r.ask(c.name, c.typ)
			last := &got.Chain[len(got.Chain)-1].Entry
			n := last.Set.Data.Len()
			if shape(got) != c.want || n != c.left || (n == 0) != (last.Kind == cache.NoData) {
				t.Errorf("%s: %d records, kind %v, %s", c.name, n, last.Kind, shape(got))
			}
			removed := len(got.Errors) > 0
			if counted := r.Stats().Private - before; (counted == 1) != removed {
				t.Errorf("%s: counted %d", c.name, counted)
			}
			if _, _, ok := fromCacheAlone(r, c.name, c.typ); ok && removed {
				t.Errorf("%s: the cache's path lets it through", c.name)
			}
		}
	}
	if n := it.asked.Load(); n != 16 {
		t.Errorf("%d resolutions: the cache was not used", n)
	}
	if _, _, ok := fromCacheAlone(r, "public.", wire.TypeA); !ok {
		t.Error("what is not private does not come from the cache")
	}
	// Name servers' addresses are no client's.
	got, _, err := r.Addresses(t.Context(), iterator.Request{Budget: iterator.NewBudget(5, 1<<20)}, name("rebind."), wire.TypeA)
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// Malformed service parameters are no reason to look beyond the data.
func TestPrivateHintsAreBounded(t *testing.T) {
	p := newPrivateNets([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, nil)
	for _, rd := range []string{"", "\x00", "\x00\x01", "\x00\x01\x00", "\x00\x01\x00\x00\x04", "\x00\x01\x00\x00\x04\x00\x04\x0a", "\x00\x01\xff\x00\x04\x00\x00", "\x00\x01\x00\x00\x04\x00\x03\x0a\x0a\x0a"} {
		if p.leads(wire.TypeHTTPS, []byte(rd)) {
			t.Errorf("%x holds an address", rd)
		}
	}
	if !p.leads(wire.TypeHTTPS, []byte(service("10.0.0.1", ""))) {
		t.Error("a hint is overlooked")
	}
}

// Answering from local data allocates nothing, nor does looking for private
// addresses.
func TestLocalAnswersAllocateNothing(t *testing.T) {
	r, _ := newTest(t, withPrivate, func(_ context.Context, req iterator.Request) iterator.Result {
		return iterator.Result{Entries: []cache.Entry{entry(req.Name.String(), req.Type, 3600, addr("198.51.100.1"))}}
	})
	r.ask("www.public.", wire.TypeA)
	reader, b := new(cache.Reader), new(wire.Builder)
	buf := make([]byte, 0, 1232)
	for _, owner := range []string{"a.static.", "nope.static.", "x.y.redirect.", "x.wild.example.", "www.public."} {
		q := Query{Name: name(owner), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
		n := testing.AllocsPerRun(100, func() {
			b.Reset(buf, 1232, wire.Header{Response: true})
			b.Question(q.Name, q.Type, wire.ClassIN)
			if _, ok := r.Cached(reader, &q, b); !ok {
				t.Fatalf("%s is not answered", owner)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", owner, n)
		}
	}
}
