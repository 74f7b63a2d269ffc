package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestSigned has zones signed by BIND, ldns and Knot DNS with every algorithm and
// kind of denial, below a root of our own, and has lastgood judge them: alone
// against what the zones are known to be, and beside other validators.
func TestSigned(t *testing.T) {
	binary, s := build(t), seed(t)
	n := newNamespace(t, signedAddrs()...)
	need(t, signers...)
	w := makeSignedWorld()
	began := time.Now()
	n.sign(w)
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("%d zones signed in %v", len(w.zones), time.Since(began).Round(time.Second))
	n.serve(w)
	anchors := n.startValidators(w, binary)
	t.Logf("all running after %v", time.Since(began).Round(time.Second))
	c, err := n.client(resolverAt, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("verdicts", func(t *testing.T) { checkVerdicts(t, c, w) })
	t.Run("differential", func(t *testing.T) { n.signedDifferential(t, w, s) })
	t.Run("delv", func(t *testing.T) { n.delvBehind(t, w, anchors, s) })
}

// expectation is what must come of a question with DO.
type expectation struct {
	name  string
	typ   uint16
	rcode int
	ad    bool
	count int    // records in the answer section that are no signatures
	ede   uint16 // 0: none of them about validation
}

func (e expectation) String() string { return e.name + " " + dns.Type(e.typ).String() }

// judged are the extended errors that tell of validation.
func judged(code uint16) bool {
	return code >= dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm && code <= dns.ExtendedErrorCodeUnsupportedDSDigestType ||
		code >= dns.ExtendedErrorCodeDNSSECIndeterminate && code <= dns.ExtendedErrorCodeNSECMissing || code == unsupportedIterations
}

func checkVerdicts(t *testing.T, c *client, w *signedWorld) {
	asked := 0
	for _, z := range w.zones {
		if len(z.records) == 0 {
			continue
		}
		var list []expectation
		switch {
		case z.kind == "dname":
			list = []expectation{{"www." + z.name, dns.TypeA, 0, true, 3, 0}, {z.name, dns.TypeDNAME, 0, true, 1, 0}, {z.name, dns.TypeMX, 0, true, 0, 0}}
		case z.want == bogus && z.denialBroken():
			list = brokenDenials(z)
		case z.want == bogus:
			list = []expectation{{"www." + z.name, dns.TypeA, dns.RcodeServerFailure, false, 0, z.ede}}
		default:
			list = fineLeaf(z)
		}
		for _, e := range list {
			asked++
			meets(t, z, e, c.askSigned(e.name, e.typ, bits{do: true}))
		}
	}
	t.Logf("%d questions to %d zones", asked, len(w.zones))
}

func meets(t *testing.T, z *signedZone, e expectation, a answer) {
	t.Helper()
	records := 0
	for _, rr := range a.shown {
		if !strings.Contains(rr, "\tRRSIG\t") {
			records++
		}
	}
	if strings.HasSuffix(z.name, "bare.four.") && strings.HasPrefix(e.name, "any.") && slices.Contains(a.codes(), dns.ExtendedErrorCodeNSECMissing) {
		e.ede = dns.ExtendedErrorCodeNSECMissing // BIND leaves out what is not signed
	}
	told := slices.DeleteFunc(a.codes(), func(code uint16) bool { return !judged(code) })
	var wrong []string
	if a.rcode != e.rcode || a.ad != e.ad || records != e.count || a.fault != "" {
		wrong = append(wrong, fmt.Sprintf("want %s ad=%t, %d records", dns.RcodeToString[e.rcode], e.ad, e.count))
	}
	if a.ad && a.bare != "" {
		wrong = append(wrong, "no signature with "+a.bare)
	}
	// What is insecure says why, from the cache too; what some proof with many iterations is no part of has nothing to say.
	must := e.rcode == dns.RcodeServerFailure || z.want == insecure || z.rounds > insecureRounds && e.rcode == dns.RcodeNameError
	if slices.Contains(told, e.ede) == (e.ede == 0) && must || len(slices.DeleteFunc(told, func(code uint16) bool { return code == e.ede })) != 0 {
		wrong = append(wrong, fmt.Sprintf("want EDE %d", e.ede))
	}
	if len(wrong) > 0 {
		t.Errorf("%s (%s, %s): %s\n\tgot %s", e, z.kind, z.signer, strings.Join(wrong, "; "), a)
	}
}

// fineLeaf is what a leaf says when nothing is wrong. What an opt-out record
// covers has no AD bit (RFC 5155 §9.2); ldns makes a record for each delegation
// all the same.
func fineLeaf(z *signedZone) []expectation {
	ad := z.want == secure
	deny := ad && z.denial != "optout" && z.rounds <= insecureRounds
	at := func(label string) string { return label + "." + z.name }
	const ok, none, fail = dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeServerFailure
	list := []expectation{
		{z.name, dns.TypeSOA, ok, ad, 1, z.ede}, {z.name, dns.TypeTXT, ok, ad, 1, z.ede}, {at("www"), dns.TypeA, ok, ad, 1, z.ede},
		{at("www"), dns.TypeMX, ok, ad, 0, z.ede}, {at("odd"), 65300, ok, ad, 1, z.ede},
		{at("any.w"), dns.TypeA, ok, deny, 1, z.ede}, {at("a.b.w"), dns.TypeTXT, ok, deny, 1, z.ede}, {at("any.w"), dns.TypeMX, ok, deny, 0, z.ede},
		{at("*.w"), dns.TypeA, ok, ad, 1, z.ede}, {at("there.w"), dns.TypeTXT, ok, ad, 0, z.ede},
		{at("under.w"), dns.TypeA, ok, ad, 0, z.ede}, {at("no.under.w"), dns.TypeA, none, deny, 0, z.ede},
		{at("b.ent"), dns.TypeA, ok, ad, 0, z.ede}, {at("ent"), dns.TypeTXT, ok, ad, 0, z.ede},
		{at("nope"), dns.TypeA, none, deny, 0, z.ede}, {at("a.b.nope"), dns.TypeA, none, deny, 0, z.ede}, {at("x.www"), dns.TypeA, none, deny, 0, z.ede},
		{at("alias"), dns.TypeA, ok, ad, 2, z.ede}, {at("gone"), dns.TypeA, none, deny, 1, z.ede}, {at("wild"), dns.TypeTXT, ok, deny, 2, z.ede},
		{at("x.cw"), dns.TypeAAAA, ok, deny, 2, z.ede}, {at("over"), dns.TypeA, ok, ad, 2, z.ede}, {at("far"), dns.TypeA, ok, ad, 3, z.ede},
		{at("toplain"), dns.TypeA, ok, false, 2, z.ede}, {at("self"), dns.TypeA, fail, false, 0, 0},
		{at("tobad"), dns.TypeA, fail, false, 0, dns.ExtendedErrorCodeSignatureExpired},
		{at("h.old"), dns.TypeA, ok, ad, 3, z.ede}, {at("any.old"), dns.TypeTXT, ok, deny, 3, z.ede}, {at("no.h.old"), dns.TypeA, none, deny, 2, z.ede}, {at("www.away"), dns.TypeA, ok, ad, 3, z.ede},
		{at("old"), dns.TypeDNAME, ok, ad, 1, z.ede},
	}
	for i := range list {
		if z.rounds > insecureRounds && list[i].count == 0 {
			list[i].ad = false
		}
	}
	if z.kind == "matrix" {
		list = append(list, expectation{at("www.ins"), dns.TypeA, ok, false, 1, z.ede}, expectation{at("nope.ins"), dns.TypeA, none, false, 0, z.ede},
			expectation{at("ins"), dns.TypeDS, ok, ad && (deny || z.signer == "ldns"), 0, z.ede}, expectation{z.name, dns.TypeDS, ok, true, 1, 0}, expectation{z.name, dns.TypeDNSKEY, ok, ad, 2, z.ede})
	}
	return list
}

// brokenDenials is a leaf whose names are fine and whose denials are not.
func brokenDenials(z *signedZone) []expectation {
	at := func(label string) string { return label + "." + z.name }
	return []expectation{
		{at("www"), dns.TypeA, dns.RcodeSuccess, true, 1, 0}, {at("nope"), dns.TypeA, dns.RcodeServerFailure, false, 0, z.ede},
		{at("www"), dns.TypeMX, dns.RcodeServerFailure, false, 0, z.ede}, {at("any.w"), dns.TypeA, dns.RcodeServerFailure, false, 0, z.ede},
		{at("b.ent"), dns.TypeA, dns.RcodeServerFailure, false, 0, z.ede},
	}
}
