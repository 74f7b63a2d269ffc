package app

import (
	"fmt"
	"os"
	"strings"

	"lastgood/internal/anchor"
	"lastgood/internal/config"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/validator"
)

// Bounds of NSEC3 iterations (RFC 9276 §3.2): what is signed with more is insecure,
// and what with far more bogus.
const (
	iterationsInsecure = 50
	iterationsRefused  = 500
)

// validationWork bounds the validation of one client's question. A cold one at the
// end of a chain of five signed zones takes some fifteen signatures.
var validationWork = dnssec.Limits{Signatures: 64, PerSet: 8, Vain: 16, PerTag: 4, Keys: 32, Hashes: 256} // constant in effect

// validationPolicy is what is verified, and what is insecure.
func (a *App) validationPolicy() dnssec.Policy {
	return dnssec.Policy{SHA1: a.o.Config.DNSSEC.SHA1, Iterations: iterationsInsecure, Refused: iterationsRefused}
}

// buildTrust makes what names stand on: there are anchors where nothing is validated
// too, for a copy of the root zone is always verified.
func (a *App) buildTrust() error {
	c := &a.o.Config.DNSSEC
	anchors, err := a.trustAnchors(c)
	if err != nil {
		return err
	}
	a.anchors = anchor.NewTable(anchors, c.Insecure)
	if follows(c) {
		for _, given := range anchors {
			a.followed.list = append(a.followed.list, &following{given: given, tracker: anchor.NewTracker(given)})
		}
	}
	a.negatives = anchor.NewNegatives(a.anchors)
	var list []anchor.Against
	for _, n := range c.NegativeTrustAnchors {
		list = append(list, anchor.Against{Zone: n.Zone, Until: n.Until, Reason: n.Reason})
	}
	if err := a.negatives.Configure(list, a.clock.Wall()); err != nil {
		return fmt.Errorf("dnssec.negative-trust-anchors: %w", err)
	}
	return nil
}

// validation makes what answers are judged by, nil when they are not.
func (a *App) validation(events event.Sink) *validator.Validator {
	c := &a.o.Config.DNSSEC
	if !c.Validation {
		return nil
	}
	return validator.New(validator.Options{
		Grounds: a.anchors, Clock: a.clock, Pinned: c.ValidationTime, Events: events, Policy: a.validationPolicy(),
	})
}

// trustAnchors reads those of the configuration, records and files of them; without
// any the built-in one of the root counts.
func (a *App) trustAnchors(c *config.DNSSEC) ([]*anchor.Anchor, error) {
	if len(c.TrustAnchors) == 0 {
		return []*anchor.Anchor{anchor.Builtin()}, nil
	}
	var all []*anchor.Anchor
	for i, text := range c.TrustAnchors {
		source := fmt.Sprintf("dnssec.trust-anchors, item %d", i+1)
		if !strings.ContainsAny(text, " \t") {
			source = "dnssec.trust-anchors: " + text
			var err error
			if text, err = readAnchors(text); err != nil {
				return nil, fmt.Errorf("dnssec.trust-anchors: %w", err)
			}
		}
		list, err := anchor.Parse(source, text, anchor.NotBefore(a.clock.Wall()))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return anchor.Merge(all), nil
}

// readAnchors reads a file of trust anchors.
func readAnchors(file string) (string, error) {
	data, err := readSmall(file)
	if err != nil {
		return "", fmt.Errorf("%w: name a file of DS or DNSKEY records, or IANA's root-anchors.xml, that user %d may read", err, os.Geteuid())
	}
	return string(data), nil
}
