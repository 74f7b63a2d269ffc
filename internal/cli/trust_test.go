package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// The chain of trust is told link by link, from the anchor down.
func TestTraceTellsTheChainOfTrust(t *testing.T) {
	got := lastgood(t, "query", "--trace", "--lab", "www.example.com")
	_, chain, ok := strings.Cut(got.out, "chain of trust of www.example.com. A:")
	if !ok || !strings.Contains(got.out, "a link of the chain of trust: com. DNSKEY") || !strings.Contains(got.out, "it is secure") {
		t.Fatalf("exit %d: %s\n%s", got.code, got.errors, got.out)
	}
	for _, want := range []string{" . secure: trust anchor", " com. secure: DS ", " example.com. secure: DS ", " www.example.com. secure: A: signed by "} {
		_, after, ok := strings.Cut(chain, want)
		if !ok {
			t.Fatalf("no %q (in order) in:\n%s", want, got.out)
		}
		chain = after
	}
	if strings.Contains(got.out, "for a ticket") {
		t.Error("a ticket for nothing")
	}
}

// Of what does not validate a sentence tells what is wrong with which zone.
func TestTraceTellsWhatToWriteIntoTheTicket(t *testing.T) {
	got := lastgood(t, "query", "--trace", "--lab", "--json", "www.expired.example.org")
	var m message
	if err := json.Unmarshal([]byte(got.out), &m); err != nil || m.Status != "SERVFAIL" {
		t.Fatalf("%v in:\n%s", err, got.out)
	}
	said := map[string]string{}
	for _, s := range m.Steps {
		said[s.What+" "+s.Zone+" "+s.Outcome] = s.Text
	}
	for step, want := range map[string]string{
		"ticket  ":                          "The zone expired.example.org. does not validate: signature of expired.example.org. DNSKEY by key ",
		"trust expired.example.org. bogus":  "signature of expired.example.org. DNSKEY by key ",
		"judged expired.example.org. bogus": "Signature Expired: signature of ",
		"trust example.org. secure":         "DS ",
	} {
		if !strings.HasPrefix(said[step], want) {
			t.Errorf("%s: %q, want %q…", step, said[step], want)
		}
	}
}
