package cache

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// noon is the time of day at which snapshots are made.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rules(maxStale time.Duration) *stale.Rules {
	return stale.NewRules(stale.Policy{Enabled: true, Max: maxStale, Negative: time.Hour}, nil, nil)
}

func save(t testing.TB, c *Cache, now clock.Mono, wall time.Time, h SnapshotHeader) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteSnapshot(&b, now, wall, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(t testing.TB, c *Cache, b []byte, now clock.Mono, wall time.Time, h SnapshotHeader) LoadReport {
	t.Helper()
	report, err := c.ReadSnapshot(bytes.NewReader(b), now, wall, h)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// soa is a valid SOA record's data.
func soa() rrset.Packed { return rrset.Packed(nil).Append(make([]byte, 22)) }

// signature is valid RRSIG data.
func signature(signer dnsname.Name) rrset.Packed {
	return rrset.Packed(nil).Append(append(append(make([]byte, 18), signer...), 1, 2, 3))
}

// anyEntry makes one of all kinds of entry.
func anyEntry(r *rand.Rand, i int) *Entry {
	zone := numbered("zone", r.IntN(5))
	owner, err := zone.Prepend(fmt.Sprintf("host%d", i))
	if err != nil {
		panic(err)
	}
	e := address(owner, uint32(1+r.IntN(7200)))
	e.Cut, e.Rank, e.Security = zone, Rank(1+r.IntN(3)), rrset.Security(r.IntN(4))
	if r.IntN(4) == 0 {
		e.Cut = ""
	}
	for range r.IntN(3) {
		e.Set.Data = e.Set.Data.Append([]byte{198, 51, 100, byte(r.IntN(256))})
	}
	switch r.IntN(5) {
	case 0:
		e.Type, e.Set.Type, e.Set.Data = wire.TypeCNAME, wire.TypeCNAME, rrset.Packed(nil).Append([]byte(name("target.example.")))
	case 1:
		e.Set.Sigs = signature(zone)
		e.Proof = []rrset.Set{{Name: zone, Type: wire.TypeNSEC, TTL: 60, Data: rrset.Packed(nil).Append(append([]byte(zone), 0, 1, 64)), Sigs: signature(zone)}}
	case 2:
		e.Kind, e.Set = NoData, rrset.Set{}
		e.Proof = []rrset.Set{{Name: zone, Type: wire.TypeSOA, TTL: 60, Data: soa()}}
	case 3:
		e.Kind, e.Type, e.Set = NXDomain, wire.TypeNone, rrset.Set{}
		e.Proof = []rrset.Set{{Name: name("elsewhere.example."), Type: wire.TypeSOA, TTL: 60, Data: soa()}}
	case 4:
		e.Type, e.Set.Type, e.Set.Data = wire.TypeDS, wire.TypeDS, rrset.Packed(nil).Append(append([]byte{0, 1, 13, 2}, make([]byte, 32)...))
	}
	if e.Security == rrset.Secure || e.Security == rrset.Insecure && (e.Kind != Data || e.Type == wire.TypeDS) {
		e.Valid = noon.Add(time.Duration(r.IntN(1<<20)) * time.Second).UTC()
	}
	return e
}

// relative is an entry with its moments counted from now.
func relative(e Entry, now clock.Mono) Entry {
	e.Stored, e.Expiry, e.StaleUntil = e.Stored-now, e.Expiry-now, e.StaleUntil-now
	return e
}

// What a cache says after a restart is what it would have said without one,
// whatever is in it and however long the restart takes.
func TestSnapshotRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := Options{Size: 4 << 20, Stale: rules(2 * time.Hour), Seed: seed}
		c := New(o)
		now := at(0)
		var all []*Entry
		for i := range 400 {
			now = now.Add(time.Duration(r.Int64N(int64(20 * time.Second))))
			e := anyEntry(r, i)
			if !c.Put(now, e) {
				t.Fatalf("not stored: %+v", e)
			}
			all = append(all, e)
			old := all[r.IntN(len(all))]
			look(c, now, old.Name, old.Type)
			if i%100 == 50 {
				c.Bury(now, numbered("zone", 4))
			}
			c.PutDelegation(now, delegation(numbered("zone", i%50), uint32(1+r.IntN(7200))))
		}
		b := save(t, c, now, noon, SnapshotHeader{})
		away := time.Duration(r.Int64N(int64(3 * time.Hour)))
		o.Seed, now = seed+100, now.Add(away)
		then := at(time.Duration(r.Int64N(int64(time.Minute))))
		d := New(o)
		report := load(t, d, b, then, noon.Add(away), SnapshotHeader{})
		checkAll(t, d)
		compare(t, c, now, d, then, all)
		if report.Entries() == 0 || report.Delegations == 0 || report.Elapsed != away {
			t.Errorf("seed %d: the report says %+v", seed, report)
		}
		if n := report.Changed + report.Newer + report.Refused; n != 0 {
			t.Errorf("seed %d: %+v", seed, report)
		}
	}
}

// compare wants two caches to say the same, each at its own time.
func compare(t *testing.T, c *Cache, now clock.Mono, d *Cache, then clock.Mono, all []*Entry) {
	t.Helper()
	found := 0
	for _, e := range all {
		want, ok := look(c, now, e.Name, e.Type)
		got, ok2 := look(d, then, e.Name, e.Type)
		if ok != ok2 || ok && !reflect.DeepEqual(relative(want, now), relative(got, then)) {
			t.Fatalf("%v %v: before %v %+v\nafter %v %+v", e.Name, e.Type, ok, relative(want, now), ok2, relative(got, then))
		}
		if ok {
			found++
		}
	}
	if found < len(all)/20 {
		t.Fatalf("only %d of %d entries are left to compare", found, len(all))
	}
	for i := range 50 {
		cut := numbered("zone", i)
		want, ok := c.Delegation(now, cut)
		got, ok2 := d.Delegation(then, cut)
		if ok != ok2 {
			t.Fatalf("%v: before %v, after %v", cut, ok, ok2)
		}
		if ok && (want.Expiry-now != got.Expiry-then || want.Learned-now != got.Learned-then || want.TTL != got.TTL ||
			want.Parent != got.Parent || !reflect.DeepEqual(want.Servers, got.Servers)) {
			t.Fatalf("%v: before %+v, after %+v", cut, want, got)
		}
	}
}

func delegation(cut dnsname.Name, ttl uint32) *Delegation {
	return &Delegation{Cut: cut, Parent: cut.Parent(), TTL: ttl, Servers: []NameServer{
		{Name: name("ns1.example."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}},
		{Name: name("ns2.example.")},
	}}
}

// However often it is saved and loaded, an answer is served until its expiry and
// max-stale, and no longer.
func TestSnapshotKeepsMaxStale(t *testing.T) {
	o := Options{Size: 1 << 20, Stale: rules(time.Hour)}
	c, now, wall := New(o), at(0), noon
	www := name("www.example.")
	c.Put(now, address(www, 600))
	for minutes := 10; minutes <= 80; minutes += 10 {
		b := save(t, c, now, wall, SnapshotHeader{})
		wall = wall.Add(10 * time.Minute)
		now = at(time.Duration(minutes) * time.Millisecond)
		c = New(o)
		report := load(t, c, b, now, wall, SnapshotHeader{})
		e, ok := look(c, now, www, wire.TypeA)
		if want := minutes < 70; ok != want || report.Gone > 0 != (minutes == 70) {
			t.Fatalf("after %d minutes it is there: %v (%+v)", minutes, ok, report)
		}
		if until := time.Duration(70-minutes) * time.Minute; ok && e.StaleUntil.Sub(now) != until {
			t.Errorf("after %d minutes it is served for %v more, want %v", minutes, e.StaleUntil.Sub(now), until)
		}
	}
}

// The present rules say how long something is stale, counted from its expiry;
// a maximum that became shorter holds too, and a minimum prolongs nothing.
func TestSnapshotMeetsOtherOptions(t *testing.T) {
	c := New(Options{Size: 1 << 20, Stale: rules(24 * time.Hour)})
	c.Put(at(0), address(name("www.example."), 3600))
	b := save(t, c, at(0), noon, SnapshotHeader{})
	later := noon.Add(2 * time.Hour) // an hour after its expiry
	for _, v := range []struct {
		what  string
		o     Options
		until time.Duration // from then on; 0: gone
	}{
		{"as before", Options{Stale: rules(24 * time.Hour)}, 23 * time.Hour},
		{"shorter", Options{Stale: rules(90 * time.Minute)}, 30 * time.Minute},
		{"too short", Options{Stale: rules(time.Hour)}, 0},
		{"nothing stale", Options{}, 0},
		{"never for that name", Options{Stale: stale.NewRules(stale.Policy{Enabled: true, Max: 24 * time.Hour}, nil, []dnsname.Name{name("example.")})}, 0},
		{"a shorter max-ttl", Options{Stale: rules(24 * time.Hour), MaxTTL: 30 * time.Minute}, 22*time.Hour + 30*time.Minute},
		{"a longer min-ttl", Options{Stale: rules(24 * time.Hour), MinTTL: 6 * time.Hour}, 23 * time.Hour},
	} {
		v.o.Size = 1 << 20
		d := New(v.o)
		load(t, d, b, at(0), later, SnapshotHeader{})
		e, ok := look(d, at(0), name("www.example."), wire.TypeA)
		if ok != (v.until > 0) || ok && (e.StaleUntil.Sub(at(0)) != v.until || e.State(at(0)) != stale.Stale) {
			t.Errorf("%s: there %v, for %v more", v.what, ok, e.StaleUntil.Sub(at(0)))
		}
	}
}

// A clock that is before the time of saving makes entries stale, never fresher,
// and gives them no more time than they had.
func TestSnapshotOfTheFuture(t *testing.T) {
	o := Options{Size: 1 << 20, Stale: rules(time.Hour)}
	c := New(o)
	fresh, expired, denied := name("fresh.example."), name("expired.example."), name("denied.example.")
	c.Put(at(0), address(expired, 60))
	c.PutDelegation(at(0), delegation(name("old.example."), 60))
	c.Put(at(30*time.Minute), address(fresh, 1800))
	c.PutDelegation(at(30*time.Minute), delegation(name("new.example."), 3600))
	c.Put(at(30*time.Minute), denial0(denied, 1800))
	b := save(t, c, at(40*time.Minute), noon, SnapshotHeader{})
	for _, back := range []time.Duration{time.Nanosecond, time.Hour, 50 * 365 * 24 * time.Hour, 80 * 365 * 24 * time.Hour} {
		d := New(o)
		now := at(5 * time.Second)
		report := load(t, d, b, now, noon.Add(-back), SnapshotHeader{})
		if !report.Backwards || report.Fresh != 0 || report.Stale != 3 || report.Delegations != 2 || report.Elapsed != 0 {
			t.Errorf("%v back: %+v", back, report)
		}
		for _, v := range []struct {
			name  dnsname.Name
			until time.Duration
		}{{fresh, time.Hour}, {denied, time.Hour}, {expired, 21 * time.Minute}} {
			e, ok := look(d, now, v.name, wire.TypeA)
			if !ok || e.State(now) != stale.Stale || e.StaleUntil.Sub(now) != v.until {
				t.Errorf("%v back: %v: %v, for %v more, want %v", back, v.name, e.State(now), e.StaleUntil.Sub(now), v.until)
			}
		}
		if e, _ := look(d, now, fresh, wire.TypeA); e.TTL != 1800 {
			t.Errorf("its original TTL became %d", e.TTL)
		}
		if _, ok := d.Closest(now, fresh); ok {
			t.Errorf("%v back: a delegation is fresh", back)
		}
	}
}

// denial0 denies a name with a valid SOA record.
func denial0(n dnsname.Name, ttl uint32) *Entry {
	e := denial(NXDomain, n, wire.TypeNone, ttl)
	e.Proof[0].Data = soa()
	return e
}

// What the configuration says otherwise now is not taken from a snapshot.
func TestSnapshotOfOtherConfiguration(t *testing.T) {
	names := []string{"www.corp.example.", "corp.example.", "www.example.", "notcorp.example.", "consul."}
	c := New(Options{Size: 1 << 20})
	for _, n := range names {
		c.Put(at(0), address(name(n), 3600))
		c.PutDelegation(at(0), delegation(name(n), 3600))
	}
	zone := func(pairs ...string) map[dnsname.Name][8]byte {
		m := map[dnsname.Name][8]byte{}
		for i := 0; i < len(pairs); i += 2 {
			m[name(pairs[i])] = [8]byte([]byte(pairs[i+1] + "........"))
		}
		return m
	}
	then := zone("corp.example.", "a", "consul.", "b")
	b := save(t, c, at(0), noon, SnapshotHeader{Zones: then, Memory: []byte("x")})
	for _, v := range []struct {
		what string
		now  map[dnsname.Name][8]byte
		lost string
	}{
		{"the same", then, ""},
		{"changed", zone("corp.example.", "A", "consul.", "b"), "www.corp.example. corp.example."},
		{"vanished", zone("corp.example.", "a"), "consul."},
		{"appeared", zone("corp.example.", "a", "consul.", "b", "www.example.", "c"), "www.example."},
		{"the root", zone("corp.example.", "a", "consul.", "b", ".", "c"), strings.Join(names, " ")},
		{"all gone", nil, "www.corp.example. corp.example. consul."},
	} {
		d := New(Options{Size: 1 << 20})
		applies := map[string]bool{}
		report := load(t, d, b, at(0), noon, SnapshotHeader{Zones: v.now, Restore: func(_ []byte, about *LoadReport) {
			for _, n := range names {
				applies[n] = about.Applies(name(n))
			}
		}})
		lost := strings.Fields(v.lost)
		for _, n := range names {
			_, ok := look(d, at(0), name(n), wire.TypeA)
			_, ok2 := d.Delegation(at(0), name(n))
			if want := !strings.Contains(" "+v.lost+" ", " "+n+" "); ok != want || ok2 != want || applies[n] != want {
				t.Errorf("%s: %s is there: entry %v, delegation %v, memory %v", v.what, n, ok, ok2, applies[n])
			}
		}
		if report.Changed != 2*len(lost) || report.Entries() != len(names)-len(lost) {
			t.Errorf("%s: %+v", v.what, report)
		}
	}
}

// What was learnt while a snapshot is loaded is newer than all that is in it.
func TestSnapshotReplacesNothingNewer(t *testing.T) {
	o := Options{Size: 1 << 20, Stale: rules(time.Hour)}
	c := New(o)
	for i := range 4 {
		c.Put(at(0), address(numbered("host", i), 3600))
		c.PutDelegation(at(0), delegation(numbered("host", i), 3600))
	}
	b := save(t, c, at(0), noon, SnapshotHeader{Memory: []byte("m")})
	d := New(o)
	now := at(time.Minute)
	report := load(t, d, b, now, noon.Add(30*time.Second), SnapshotHeader{Restore: func([]byte, *LoadReport) {
		d.Put(now, data(numbered("host", 0), wire.TypeA, 60, 203, 0, 113, 1))
		d.Put(now, denial0(numbered("host", 1), 60))
		d.Put(now, data(numbered("host", 2), wire.TypeTXT, 60, 1, 'x')) // contradicts nothing
		d.PutDelegation(now, delegation(numbered("host", 0), 60))
	}})
	if report.Newer != 3 || report.Fresh != 2 || report.Delegations != 3 {
		t.Errorf("%+v", report)
	}
	if e, ok := look(d, now, numbered("host", 0), wire.TypeA); !ok || e.TTL != 60 {
		t.Errorf("a newer RRset was replaced: %+v", e)
	}
	if e, ok := look(d, now, numbered("host", 1), wire.TypeA); !ok || e.Kind != NXDomain {
		t.Errorf("a newer denial was replaced: %+v", e)
	}
	if _, ok := look(d, now, numbered("host", 2), wire.TypeTXT); !ok || found(d, now, "host", 4) != 4 {
		t.Error("entries that do not contradict each other displaced each other")
	}
	if e, ok := d.Closest(now, numbered("host", 0)); !ok || e.TTL != 60 {
		t.Errorf("a newer delegation was replaced: %+v", e)
	}
	// The same once more: nothing in it is newer than what is there.
	if again := load(t, d, b, now, noon.Add(30*time.Second), SnapshotHeader{}); again.Entries()+again.Delegations != 0 {
		t.Errorf("loaded twice: %+v", again)
	}
	checkAll(t, d)
}

// What is removed while a snapshot is loaded does not come back with it.
func TestSnapshotBringsNothingBack(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	for i := range 10 {
		c.Put(at(0), address(numbered("host", i), 3600))
		c.Put(at(0), address(name(fmt.Sprintf("www%d.other.", i)), 3600))
		c.PutDelegation(at(0), delegation(numbered("host", i), 3600))
	}
	b := save(t, c, at(0), noon, SnapshotHeader{Memory: []byte("m")})
	d := New(Options{Size: 1 << 20})
	done := make(chan int)
	load(t, d, b, at(0), noon, SnapshotHeader{Restore: func([]byte, *LoadReport) {
		d.Bury(at(0), name("example."))
		go func() {
			done <- d.Flush(name("www3.other."), wire.TypeNone) + d.FlushBelow(name("www4.other.")) // wait for the end
		}()
	}})
	if n := <-done; n != 2 {
		t.Errorf("%d entries were flushed, want 2", n)
	}
	for range 100 {
		d.Sweep(at(0))
	}
	if n := d.Stats().Entries; n != 8 {
		t.Errorf("%d entries, want 8", n)
	}
	if _, ok := d.Delegation(at(0), numbered("host", 1)); ok || found(d, at(0), "host", 10) != 0 {
		t.Error("what was buried came back")
	}
}

// Those asked for most come first, and keep their standing.
func TestSnapshotHottestFirst(t *testing.T) {
	o := Options{Size: 1 << 20}
	c := New(o)
	for i := range 2000 {
		c.Put(at(0), address(numbered("host", i), 3600))
	}
	for i := 1; i < 2000; i += 40 {
		for range 3 {
			look(c, at(0), numbered("host", i), wire.TypeA)
		}
	}
	hits := func(c *Cache) map[string]uint8 {
		m := map[string]uint8{}
		c.Walk(func(h *Hit, hits uint8) bool {
			m[h.Name().String()] = hits
			return true
		})
		return m
	}
	b := save(t, c, at(0), noon, SnapshotHeader{})
	var order []dnsname.Name
	l := &loader{c: c, dry: true}
	s := &snapshotReader{r: bytes.NewReader(b)}
	if err := s.preamble(); err != nil {
		t.Fatal(err)
	}
	for kind := byte(0); kind != blockEnd; {
		var content []byte
		var err error
		if kind, content, err = s.next(); err != nil {
			t.Fatal(err)
		}
		for cur := (cursor{b: content}); kind == blockEntries && len(cur.b) > 0; {
			payload := cur.b[4+8+8+1:] // a length of one octet
			order = append(order, dnsname.Name(payload[:dnsname.WireLen(payload)]))
			l.entry(&cur)
		}
	}
	if len(order) != 2000 {
		t.Fatalf("%d entries", len(order))
	}
	for i, n := range order {
		if hot := hits(c)[n.String()] >= hotHits; hot != (i < 50) {
			t.Fatalf("entry %d, %v, is hot: %v", i, n, hot)
		}
		if i == 60 {
			break // each look at the marks takes a walk
		}
	}
	d := New(o)
	load(t, d, b, at(0), noon, SnapshotHeader{})
	if !reflect.DeepEqual(hits(c), hits(d)) {
		t.Error("the marks differ")
	}
}

// A snapshot that is not whole is refused at whatever octet it ends and
// whichever bit is wrong, and nothing of it is used.
func TestSnapshotDamaged(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	c.Put(at(0), address(name("www.example."), 3600))
	c.Put(at(0), denial0(name("none.example."), 600))
	c.PutDelegation(at(0), delegation(name("example."), 3600))
	b := save(t, c, at(0), noon, SnapshotHeader{Memory: []byte("memory"), Zones: map[dnsname.Name][8]byte{name("example."): {}}})
	d := New(Options{Size: 1 << 20})
	refused := func(what string, b []byte) error {
		_, err := d.ReadSnapshot(bytes.NewReader(b), at(0), noon, SnapshotHeader{Restore: func([]byte, *LoadReport) { t.Errorf("%s: memory was used", what) }})
		if st := d.Stats(); err == nil || st.Entries+st.Delegations > 0 {
			t.Fatalf("%s: %v, %d entries and %d delegations were used", what, err, st.Entries, st.Delegations)
		}
		return err
	}
	for n := range b {
		if err := refused(fmt.Sprintf("cut at %d", n), b[:n]); !errors.Is(err, errTorn) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	for i := range 8 * len(b) {
		flipped := bytes.Clone(b)
		flipped[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d flipped", i), flipped)
	}
	for at := 0; at+16 <= len(b); at++ { // a sector that was not written
		zeroed := bytes.Clone(b)
		clear(zeroed[at : at+16])
		if !bytes.Equal(zeroed, b) {
			refused(fmt.Sprintf("zeros at %d", at), zeroed)
		}
	}
	refused("something behind it", append(bytes.Clone(b), 0))
	refused("twice", append(bytes.Clone(b), b...))
	for what, want := range map[string]string{
		"\x89LGcache\x01\x00\x00\x00" + string(b[12:]): "the snapshot has version 1, this program reads version 5",
		"root:x:0:0:root:/root:/bin/bash\n":            ErrForeign.Error(),
		"x":                                            ErrForeign.Error(),
		string(make([]byte, 4096)):                     errTorn.Error(),
		"":                                             errTorn.Error(),
	} {
		if err := refused(what, []byte(what)); err.Error() != want {
			t.Errorf("%.20q: %v, want %s", what, err, want)
		}
	}
	if report := load(t, d, b, at(0), noon, SnapshotHeader{Zones: map[dnsname.Name][8]byte{name("example."): {}}}); report.Entries() != 2 || report.Delegations != 1 {
		t.Errorf("undamaged: %+v", report)
	}
}

// failing fails after some octets, as a full disk does.
type failing int

func (f *failing) Write(b []byte) (int, error) {
	if *f -= failing(len(b)); *f < 0 {
		return 0, errors.New("no space")
	}
	return len(b), nil
}

func TestSnapshotTellsThatItCannotWrite(t *testing.T) {
	c := New(Options{Size: 4 << 20})
	fill(t, c, at(0), "host", 3600, 5000)
	whole := len(save(t, c, at(0), noon, SnapshotHeader{}))
	for _, room := range []int{0, 12, 5000, 100_000, whole - 1} {
		w := failing(room)
		if _, err := c.WriteSnapshot(&w, at(0), noon, SnapshotHeader{}); err == nil {
			t.Errorf("room for %d of %d octets: no error", room, whole)
		}
	}
}

// Questions are answered and answers stored while a snapshot is made and loaded.
func TestSnapshotAmongOthers(t *testing.T) {
	o := Options{Size: 2 << 20, Stale: rules(time.Hour)}
	c, d := New(o), New(o)
	fill(t, c, at(0), "host", 3600, 3000)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, c := range []*Cache{c, d} {
				c.Put(at(time.Duration(i)), address(numbered("new", i%500), 60))
				look(c, at(0), numbered("host", i%3000), wire.TypeA)
				c.PutDelegation(at(0), delegation(numbered("new", i%500), 60))
			}
		}
	}()
	for range 5 {
		load(t, d, save(t, c, at(time.Second), noon, SnapshotHeader{}), at(time.Second), noon, SnapshotHeader{})
	}
	close(stop)
	<-ended
	checkAll(t, d)
	if n := found(d, at(time.Second), "host", 3000); n != 3000 {
		t.Errorf("%d of 3000 entries came over", n)
	}
}

// A small cache takes what it can of a large one's snapshot: what was asked for.
func TestSnapshotOfALargerCache(t *testing.T) {
	c := New(Options{Size: 16 << 20})
	fill(t, c, at(0), "host", 3600, 40_000)
	for i := range 500 {
		for range 3 {
			look(c, at(0), numbered("host", i), wire.TypeA)
		}
	}
	d := New(Options{Size: 1 << 20, Seed: 1})
	load(t, d, save(t, c, at(0), noon, SnapshotHeader{}), at(0), noon, SnapshotHeader{})
	checkAll(t, d)
	if n := found(d, at(0), "host", 500); n < 495 {
		t.Errorf("of 500 entries that were asked for %d are left", n)
	}
	if st := d.Stats(); st.Bytes > st.Size {
		t.Errorf("%d octets in use of %d", st.Bytes, st.Size)
	}
}

// An entry that this cache would not have made is left out, and the rest is not.
func TestSnapshotWithOddEntries(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	c.Put(at(0), address(name("www.example."), 3600))
	c.Put(at(0), data(name("odd.example."), wire.TypeA, 3600, 1, 2, 3)) // an address of three octets
	d := New(Options{Size: 1 << 20})
	report := load(t, d, save(t, c, at(0), noon, SnapshotHeader{}), at(0), noon, SnapshotHeader{})
	if report.Refused != 1 || report.Fresh != 1 {
		t.Errorf("%+v", report)
	}
}

var update = flag.Bool("snapshot.update", false, "write testdata/snapshot-5")

// The format is what files of this version have. A change that makes this fail
// needs another version.
func TestSnapshotFormat(t *testing.T) {
	const file = "testdata/snapshot-5"
	c := New(Options{Size: 1 << 20, Stale: rules(time.Hour), Seed: 1})
	r := rand.New(rand.NewPCG(1, 2))
	var all []*Entry
	for i := range 40 {
		e := anyEntry(r, i)
		c.Put(at(0), e)
		all = append(all, e)
	}
	c.PutDelegation(at(0), delegation(name("example."), 3600))
	h := SnapshotHeader{Memory: []byte("memory"), Zones: map[dnsname.Name][8]byte{name("consul."): {1, 2, 3}, name("corp.example."): {4}}}
	made := save(t, c, at(0), noon, h)
	if *update {
		if err := os.WriteFile(file, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, made) {
		t.Error("snapshots are not what they were: count snapshotVersion up, and write a new file (-snapshot.update)")
	}
	d := New(Options{Size: 1 << 20, Stale: rules(time.Hour)})
	memory := ""
	h.Restore = func(m []byte, _ *LoadReport) { memory = string(m) }
	load(t, d, kept, at(time.Hour), noon, h)
	for _, e := range all {
		want, ok := look(c, at(0), e.Name, e.Type)
		got, ok2 := look(d, at(time.Hour), e.Name, e.Type)
		if !ok || !ok2 || !reflect.DeepEqual(relative(want, at(0)), relative(got, at(time.Hour))) {
			t.Errorf("%v %v: %+v, want %+v", e.Name, e.Type, got, want)
		}
	}
	if _, ok := d.Closest(at(time.Hour), name("www.example.")); !ok || memory != "memory" {
		t.Errorf("delegation %v, memory %q", ok, memory)
	}
}
