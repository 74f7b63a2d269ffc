package app

import (
	"strconv"
)

// gatherValidation tells of what was judged, and what it cost.
func (a *App) gatherValidation(g gatherer) {
	if a.validator != nil {
		s := a.validator.Stats()
		const judged = "Answers and links of chains of trust judged, by what they are."
		g.count("lastgood_judged_total", judged, s.Secure, "security", "secure")
		g.count("lastgood_judged_total", judged, s.Insecure, "security", "insecure")
		g.count("lastgood_judged_total", judged, s.Bogus, "security", "bogus")
		g.count("lastgood_judged_total", judged, s.Indeterminate, "security", "indeterminate")
		g.count("lastgood_judged_in_vain_total", "Of those that were not believed, how many took too much work.", s.Spent)
		g.gauge("lastgood_zone_keys_kept", "Zones whose keys are kept in the form in which they verify; 10,000 at most.", float64(s.KeySets))
	}
	c := &a.counts
	for code := range c.bogus {
		if n := c.bogus[code].Load(); n > 0 {
			g.count("lastgood_bogus_total", "Answers that do not validate, by extended error: 7 expired, 9 no key that fits, and so on (RFC 8914).", n, "ede", strconv.Itoa(code))
		}
	}
	const work = "Signatures verified and names hashed for validation, and those that a budget had no room for."
	g.count("lastgood_validation_work_total", work, c.work.Signatures.Load(), "what", "signature", "result", "done")
	g.count("lastgood_validation_work_total", work, c.work.NoSignatures.Load(), "what", "signature", "result", "refused")
	g.count("lastgood_validation_work_total", work, c.work.Hashes.Load(), "what", "hash", "result", "done")
	g.count("lastgood_validation_work_total", work, c.work.NoHash.Load(), "what", "hash", "result", "refused")
	raised, now := c.suspicion.state()
	g.count("lastgood_clock_suspected_total", "Answers that did not validate because the clock of this machine seems to be wrong.", raised)
	g.gauge("lastgood_clock_suspect", "Whether it seems to be wrong now.", boolean(now))
}

// gatherAnchors tells how the trust anchors are that follow the keys of their zones.
func (a *App) gatherAnchors(g gatherer) {
	a.followed.mu.Lock()
	defer a.followed.mu.Unlock()
	for _, f := range a.followed.list {
		zone := f.given.Zone.String()
		states := map[string]int{}
		for _, k := range f.tracker.Keys() {
			states[k.State]++
		}
		for _, state := range []string{"pending", "valid", "missing", "revoked", "removed"} {
			g.gauge("lastgood_trust_anchor_keys", "Keys of a zone whose keys are followed (RFC 5011), by state.", float64(states[state]), "zone", zone, "state", state)
		}
		g.gauge("lastgood_trust_anchor_tags", "Key tags of such a zone that are trusted; 0: all were revoked, and it is not validated.", float64(len(f.tracker.Anchor().Tags())), "zone", zone)
		const looks = "Looks at the keys of such a zone; failed: they could not be had, or no trusted one signed them."
		g.count("lastgood_trust_anchor_looks_total", looks, f.looks-f.failures, "zone", zone, "result", "good")
		g.count("lastgood_trust_anchor_looks_total", looks, f.failures, "zone", zone, "result", "failed")
		g.gauge("lastgood_trust_anchor_kept", "Whether what is learnt of its keys outlives a restart.", boolean(f.file != "" && !f.foreign && f.failure == ""), "zone", zone)
	}
}
