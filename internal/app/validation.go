package app

import (
	"fmt"
	"os"
	"strings"

	"lastgood/internal/anchor"
	"lastgood/internal/config"
	"lastgood/internal/dnssec"
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
var validationWork = dnssec.Limits{Signatures: 64, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 256} // constant in effect

// validation makes what answers are judged by, nil when they are not.
func (a *App) validation() (*validator.Validator, error) {
	c := &a.o.Config.DNSSEC
	if !c.Validation {
		return nil, nil
	}
	anchors, err := a.trustAnchors(c)
	if err != nil {
		return nil, err
	}
	table := anchor.NewTable(anchors, c.Insecure)
	negatives := anchor.NewNegatives(table)
	var list []anchor.Against
	for _, n := range c.NegativeTrustAnchors {
		list = append(list, anchor.Against{Zone: n.Zone, Until: n.Until, Reason: n.Reason})
	}
	if err := negatives.Configure(list, a.clock.Wall()); err != nil {
		return nil, fmt.Errorf("dnssec.negative-trust-anchors: %w", err)
	}
	return validator.New(validator.Options{
		Grounds: table, Clock: a.clock, Pinned: c.ValidationTime,
		Policy: dnssec.Policy{SHA1: true, Iterations: iterationsInsecure, Refused: iterationsRefused},
	}), nil
}

// trustAnchors reads those of the configuration, records and files of them; without
// any the built-in one of the root counts.
func (a *App) trustAnchors(c *config.DNSSEC) ([]*anchor.Anchor, error) {
	if len(c.TrustAnchors) == 0 {
		return []*anchor.Anchor{anchor.Builtin()}, nil
	}
	var all []*anchor.Anchor
	for _, text := range c.TrustAnchors {
		file := "dnssec.trust-anchors"
		if !strings.ContainsAny(text, " \t") {
			file = text
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("dnssec.trust-anchors: %w", err)
			}
			text = string(data)
		}
		list, err := anchor.Parse(file, text, a.clock.Wall())
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return anchor.Merge(all), nil
}
