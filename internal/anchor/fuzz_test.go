package anchor

import (
	"bytes"
	"testing"

	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// FuzzParse: whatever is read as anchors is usable, and is read again from what it
// says.
func FuzzParse(f *testing.F) {
	f.Add(ksk2017 + "\n" + ksk2024)
	f.Add("example. IN DS (1 8 ; x\n 1 E06D44B80B8F1D39A95C0B0D7C65D08458E88040)\n DS " + someDS)
	f.Add("$TTL 1h\n. 3600 DS " + someDS)
	f.Add(rootXML)
	f.Add("<TrustAnchor><Zone>x</Zone><KeyDigest/></TrustAnchor>")
	f.Fuzz(func(t *testing.T, text string) {
		anchors, err := Parse("f", text, noon)
		if err != nil {
			if anchors != nil || len(err.Error()) > 2000 {
				t.Fatalf("%v with %d anchors", err, len(anchors))
			}
			return
		}
		var again []byte
		for _, a := range anchors {
			if !a.Usable(&everything) {
				t.Fatalf("an anchor of %s that is of no use", a.Zone)
			}
			for _, d := range a.DS {
				rdata := append([]byte{byte(d.Tag >> 8), byte(d.Tag), byte(d.Algorithm), byte(d.Type)}, d.Digest...)
				again = append(again, rrset.Line(a.Zone, 0, wire.TypeDS, rdata)+"\n"...)
			}
			for _, k := range a.Keys {
				if !a.Trusts(k) {
					t.Fatalf("the anchor of %s does not trust its own key", a.Zone)
				}
				again = append(again, rrset.Line(a.Zone, 0, wire.TypeDNSKEY, k.Data())+"\n"...)
			}
		}
		second, err := Parse("f", string(again), noon)
		if err != nil || len(second) != len(anchors) {
			t.Fatalf("%v, %d anchors of %d from\n%s", err, len(second), len(anchors), again)
		}
		for i, a := range anchors {
			if b := second[i]; a.Zone != b.Zone || len(a.DS) != len(b.DS) || len(a.Keys) != len(b.Keys) {
				t.Fatalf("%s: %d+%d became %d+%d", a.Zone, len(a.DS), len(a.Keys), len(b.DS), len(b.Keys))
			}
		}
	})
}

// FuzzTracker: what is read as a tracker's state is written the same once it is
// settled, and trusts nothing revoked.
func FuzzTracker(f *testing.F) {
	a, tr := someState(f)
	whole := tr.Marshal()
	body := whole[:bytes.LastIndex(whole, []byte("end "))]
	f.Add(body)
	f.Add(bytes.ReplaceAll(body, []byte("valid"), []byte("missing")))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = ReadTracker(a, body) // without the seal it is hardly ever read
		tr, err := ReadTracker(a, seal(bytes.Clone(body)))
		if err != nil {
			return
		}
		text := tr.Marshal()
		again, err := ReadTracker(a, text)
		if err != nil || !bytes.Equal(again.Marshal(), text) {
			t.Fatalf("%v, from\n%s", err, text)
		}
		anchor := tr.Anchor()
		for _, k := range tr.Keys() {
			if trusted := k.State == "valid" || k.State == "missing"; anchor.Trusts(k.Key) != trusted {
				t.Fatalf("key %d is %s, trusted: %v", k.Key.Tag, k.State, !trusted)
			}
		}
	})
}

// FuzzNegatives: what is read is within the bounds, and is read again.
func FuzzNegatives(f *testing.F) {
	f.Add([]byte(negativesHeading + "\na. 2026-05-05T12:00:00Z 2026-05-05T13:00:00Z plain \"why\"\nb. 2026-05-05T12:00:00Z 2026-05-12T12:00:00Z forced \"\"\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		n := NewNegatives(NewTable(nil, nil))
		_ = n.Unmarshal(body, noon) // without the seal it is hardly ever read
		if n.Unmarshal(seal(bytes.Clone(body)), noon) != nil {
			return
		}
		for _, a := range n.List() {
			if err := a.check(a.Added); err != nil || a.Configured {
				t.Fatalf("%+v: %v", a, err)
			}
		}
		again := NewNegatives(NewTable(nil, nil))
		if err := again.Unmarshal(n.Marshal(), noon); err != nil || !bytes.Equal(again.Marshal(), n.Marshal()) {
			t.Fatalf("%v, from\n%s", err, n.Marshal())
		}
	})
}

// FuzzSight: no set makes it panic, and who signed is in the set.
func FuzzSight(f *testing.F) {
	f.Add([]byte{1, 1, 3, 15}, []byte{0, 48, 15, 0})
	f.Fuzz(func(t *testing.T, key, signature []byte) {
		s := rrset.Set{Name: zone, Type: wire.TypeDNSKEY}
		if len(key) > 1<<12 || len(signature) > 1<<12 || len(key) == 0 || len(signature) == 0 {
			return
		}
		s.Add(60, key)
		s.Add(60, newKey(t, 1, entryPoint).Data())
		s.Sigs = s.Sigs.Append(signature)
		sighting := Sight(&s, noon, &dnssec.Policy{})
		for _, k := range sighting.Signers {
			if !contains(sighting.Keys, k) {
				t.Fatalf("key %d signed and is not there", k.Tag)
			}
		}
		tr := NewTracker(&Anchor{Zone: zone, Keys: set{newKey(t, 1, entryPoint)}})
		if _, ok := tr.Seen(&sighting); ok {
			t.Fatal("a set counts that nobody signed")
		}
	})
}
