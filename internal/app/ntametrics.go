package app

import "lastgood/internal/event"

// gatherNegatives tells of the negative trust anchors.
func (a *App) gatherNegatives(g gatherer) {
	if a.validator == nil {
		return
	}
	n := &a.ntas
	n.mu.Lock()
	kept := !n.behind()
	n.mu.Unlock()
	kinds := map[bool]int{}
	for _, e := range a.negatives.List() {
		kinds[e.Configured]++
	}
	const there = "Negative trust anchors (RFC 7646): zones that are not validated for the time being."
	g.gauge("lastgood_negative_trust_anchors", there, float64(kinds[false]), "from", "operator")
	g.gauge("lastgood_negative_trust_anchors", there, float64(kinds[true]), "from", "configuration")
	for what := range n.changes {
		g.count("lastgood_negative_trust_anchor_changes_total", "Negative trust anchors that began or ended, by why.",
			n.changes[what].Load(), "what", event.NegativeChange(what).String())
	}
	const checks = "Looks whether a zone with a negative trust anchor validates again, by what was found."
	g.count("lastgood_negative_trust_anchor_checks_total", checks, n.checked[0].Load(), "result", "validates")
	g.count("lastgood_negative_trust_anchor_checks_total", checks, n.checked[1].Load(), "result", "fails")
	g.gauge("lastgood_negative_trust_anchors_kept", "Whether those that were added outlive a restart as they are.", boolean(kept))
}
