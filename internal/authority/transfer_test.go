package authority

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/rootzone"
	"lastgood/internal/wire"
)

var transferTime = time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC) // constant in effect

// rootOf makes a signed root zone of a serial, with so many delegations.
func rootOf(t *testing.T, serial, delegations int, words ...string) *Zone {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "@ 3600 SOA ns. admin. %d 1800 900 604800 300\n@ NS ns.\nns. A 192.0.2.1\n", serial)
	for i := range delegations {
		fmt.Fprintf(&b, "tld%d. NS ns.tld%[1]d.\nns.tld%[1]d. A 192.0.2.2\n", i)
	}
	z, err := ParseZone(".", "root", strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ParsePlan(dnsname.Root, append([]string{"zonemd"}, words...))
	if err != nil {
		t.Fatal(err)
	}
	if z, err = plan.Sign(z, transferTime); err != nil {
		t.Fatal(err)
	}
	return z
}

// anchorOf is the anchor of the root's keys.
func anchorOf(t *testing.T) *anchor.Anchor {
	t.Helper()
	plan, err := ParsePlan(dnsname.Root, nil)
	if err != nil {
		t.Fatal(err)
	}
	records, err := plan.DS()
	if err != nil {
		t.Fatal(err)
	}
	list, err := anchor.Parse("test", records[0].String(), transferTime)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// fetch asks a server for a transfer and reads it.
func fetch(t *testing.T, s *Server, have *rootzone.Data) (data *rootzone.Data, messages int, err error) {
	t.Helper()
	re := s.Handle(rootzone.AppendRequest(nil, 7, have), event.TCP, netip.AddrPort{}, nil)
	tr := rootzone.NewTransfer(have)
	for i, msg := range append([][]byte{re.Reply}, re.More...) {
		v, err := wire.Read(msg)
		if err != nil || binary.BigEndian.Uint16(msg) != 7 {
			t.Fatalf("message %d: %v", i, err)
		}
		done, err := tr.Add(v)
		if err != nil {
			return nil, i + 1, err
		}
		if done != (i == len(re.More)) {
			t.Fatalf("message %d of %d is the last: %v", i, 1+len(re.More), done)
		}
	}
	data, err = tr.Data()
	return data, 1 + len(re.More), err
}

// TestTransfers: whole and incremental ones lead to the same zone, which is verified
// by its digest and signatures.
func TestTransfers(t *testing.T) {
	s := NewServer(Options{Transfers: true})
	s.SetZone(rootOf(t, 1, 200))
	first, messages, err := fetch(t, s, nil)
	if err != nil || messages < 3 {
		t.Fatalf("%d messages, %v", messages, err)
	}
	policy := &dnssec.Policy{}
	if _, err := first.Verify(anchorOf(t), transferTime, policy); err != nil {
		t.Error(err)
	}
	if _, _, err := fetch(t, s, first); !errors.Is(err, rootzone.ErrSame) {
		t.Errorf("nothing newer: %v", err)
	}
	s.SetZone(rootOf(t, 2, 190))
	s.SetZone(rootOf(t, 3, 210))
	whole, all, err := fetch(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, some, err := fetch(t, s, first)
	if err != nil || next.Serial() != 3 || next.Len() != whole.Len() {
		t.Fatalf("%v: serial %d, %d records; want %d", err, next.Serial(), next.Len(), whole.Len())
	}
	if some >= all {
		t.Errorf("%d messages for the difference, %d for all", some, all)
	}
	if _, err := next.Verify(anchorOf(t), transferTime, policy); err != nil {
		t.Error(err)
	}
	for range keptVersions {
		s.SetZone(rootOf(t, int(s.Zone(dnsname.Root).Serial())+1, 1))
	}
	if next, _, err = fetch(t, s, next); err != nil || next.Serial() != 11 { // still known
		t.Error(err)
	}
	if next, _, err = fetch(t, s, first); err != nil || next.Serial() != 11 { // not known any more: the whole
		t.Error(err)
	}
}

func TestTransfersAreRefused(t *testing.T) {
	for _, test := range []struct {
		o  Options
		tr event.Transport
	}{{Options{}, event.TCP}, {Options{Transfers: true}, event.UDP}} {
		s := NewServer(test.o)
		s.SetZone(rootOf(t, 1, 1))
		v, err := wire.Read(s.Handle(rootzone.AppendRequest(nil, 7, nil), test.tr, netip.AddrPort{}, nil).Reply)
		if err != nil || v.Rcode() != wire.RcodeRefused {
			t.Errorf("%s: %v %v", test.tr, v.Rcode(), err)
		}
	}
}

// TestWrongDigests: each is refused, for what it is.
func TestWrongDigests(t *testing.T) {
	for word, want := range map[string]string{"wrong": "is not what its ZONEMD record says", "serial": "ZONEMD is of serial 2, SOA of 1", "scheme": "of scheme 240"} {
		s := NewServer(Options{Transfers: true})
		s.SetZone(rootOf(t, 1, 1, "zonemd="+word))
		data, _, err := fetch(t, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := data.Verify(anchorOf(t), transferTime, &dnssec.Policy{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", word, err)
		}
	}
}
