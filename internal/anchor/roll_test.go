package anchor

import (
	"crypto"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// signer is a key that signs, made by a general DNS library.
type signer struct {
	record  *dns.DNSKEY
	private crypto.Signer
}

func newSigner(t *testing.T, flags uint16) *signer {
	t.Helper()
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 172800},
		Flags: flags, Protocol: 3, Algorithm: dns.ED25519,
	}
	private, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{k, private.(crypto.Signer)}
}

// givenUp is the same key with the REVOKE bit.
func (s *signer) givenUp() *signer {
	k := *s.record
	k.Flags |= dns.REVOKE
	return &signer{&k, s.private}
}

func (s *signer) key(t *testing.T) *dnssec.Key {
	t.Helper()
	k, err := dnssec.ReadKey(data(t, s.record))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// data is the data of a record of the root's.
func data(t *testing.T, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[1+10 : end]
}

// keySet makes the root's DNSKEY set, signed at a moment for three weeks as the
// root's is.
func keySet(t *testing.T, at time.Time, keys, signers []*signer) *rrset.Set {
	t.Helper()
	out := &rrset.Set{Name: dnsname.Root, Type: wire.TypeDNSKEY}
	var list []dns.RR
	for _, k := range keys {
		out.Add(k.record.Hdr.Ttl, data(t, k.record))
		list = append(list, k.record)
	}
	for _, k := range signers {
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Name: ".", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 172800},
			Inception: uint32(at.Add(-time.Hour).Unix()), Expiration: uint32(at.Add(21 * day).Unix()),
			KeyTag: k.record.KeyTag(), SignerName: ".", Algorithm: dns.ED25519,
		}
		if err := sig.Sign(k.private, list); err != nil {
			t.Fatal(err)
		}
		out.Sigs = out.Sigs.Append(data(t, sig))
	}
	return out
}

// TestRootKeyRoll rehearses the roll of the root's key: the new key is published,
// 30 days later it is trusted, it signs, and the old one is revoked. Every day the
// program starts anew from what it wrote.
func TestRootKeyRoll(t *testing.T) {
	old, next, zsk := newSigner(t, entryPoint), newSigner(t, entryPoint), newSigner(t, 0x0100)
	oldKey, nextKey := old.key(t), next.key(t)
	seeds := &Anchor{Zone: dnsname.Root, DS: []dnssec.DS{digestOf(dnsname.Root, oldKey)}}
	const publish, sign, revoke, remove, end = 10, 60, 90, 120, 160
	tr := NewTracker(seeds)
	for today := range end {
		now := noon.Add(time.Duration(today) * day)
		var keys, signers []*signer
		switch {
		case today < publish:
			keys, signers = []*signer{old, zsk}, []*signer{old}
		case today < sign:
			keys, signers = []*signer{old, next, zsk}, []*signer{old}
		case today < revoke:
			keys, signers = []*signer{old, next, zsk}, []*signer{next}
		case today < remove:
			keys, signers = []*signer{old.givenUp(), next, zsk}, []*signer{old.givenUp(), next}
		default:
			keys, signers = []*signer{next, zsk}, []*signer{next}
		}
		sighting := Sight(keySet(t, now, keys, signers), now, &dnssec.Policy{})
		if len(sighting.Keys) != len(keys) || len(sighting.Signers) != len(signers) || sighting.TTL != 2*day || sighting.Left != 21*day {
			t.Fatalf("day %d: %+v", today, sighting)
		}
		if _, ok := tr.Seen(&sighting); !ok {
			t.Fatalf("day %d: nobody trusted signed", today)
		}
		a := tr.Anchor()
		if got, want := a.Trusts(oldKey), today < revoke; got != want {
			t.Errorf("day %d: the old key is trusted: %v", today, got)
		}
		if got, want := a.Trusts(nextKey), today >= publish+30; got != want {
			t.Errorf("day %d: the new key is trusted: %v", today, got)
		}
		if wait := tr.Wait(now); wait != day {
			t.Errorf("day %d: the next set is due in %v", today, wait)
		}
		var err error
		if tr, err = ReadTracker(seeds, tr.Marshal()); err != nil {
			t.Fatal(err)
		}
	}
	if keys := tr.Keys(); len(keys) != 2 || keys[0].State != "removed" || keys[1].State != "valid" {
		t.Errorf("at the end %+v", keys)
	}
}

// TestSight: who signed is who signed well, in time, and is in the set.
func TestSight(t *testing.T) {
	one, two := newSigner(t, entryPoint), newSigner(t, entryPoint)
	both := []*signer{one, two}
	tags := func(set *rrset.Set, at time.Time) (list []uint16) {
		s := Sight(set, at, &dnssec.Policy{})
		for _, k := range s.Signers {
			list = append(list, k.Tag)
		}
		return list
	}
	sound := keySet(t, noon, both, both)
	if got := tags(sound, noon); len(got) != 2 {
		t.Errorf("signers %v", got)
	}
	for _, at := range []time.Time{noon.Add(-2 * time.Hour), noon.Add(22 * day)} {
		if got := tags(sound, at); got != nil {
			t.Errorf("at %v: signers %v", at, got)
		}
	}
	if got := tags(keySet(t, noon, both[:1], both), noon); len(got) != 1 || got[0] != one.key(t).Tag {
		t.Errorf("signers %v that the set does not have", got)
	}
	forged := sound.Clone()
	forged.Sigs[len(forged.Sigs)-1] ^= 1
	if got := tags(&forged, noon); len(got) != 1 || got[0] != one.key(t).Tag {
		t.Errorf("signers %v of a forged set", got)
	}
	added := sound.Clone()
	added.Add(172800, data(t, newSigner(t, entryPoint).record))
	if got := tags(&added, noon); got != nil {
		t.Errorf("signers %v of a set with a key that nobody signed", got)
	}
	other := *sound
	other.Type = wire.TypeDS
	if s := Sight(&other, noon, &dnssec.Policy{}); s.Keys != nil || s.Signers != nil {
		t.Error("a set of another type has keys")
	}
}
