package iterator

import (
	"lastgood/internal/cache"
	"lastgood/internal/event"
	"lastgood/internal/stale"
)

// maxAside bounds what a resolution learns beside its answer.
const maxAside = maxMinimised

// nextQuestion is the next question for the servers of the cut. Names of which the
// cache has it that they are no cut need no question (RFC 9156 §3, step 5).
func (t *task) nextQuestion() (event.Question, bool) {
	q, minimised := t.question()
	for minimised && t.noCutAt(q) {
		t.min.passed(q.Name)
		q, minimised = t.question()
	}
	return q, minimised
}

// noCutAt tells whether the zone itself has data for a minimised question, or
// has said that there is none: then its parent side did not delegate the name.
func (t *task) noCutAt(q event.Question) bool {
	now := t.now()
	hit, ok := t.it.cache.Lookup(t.reader, now, q.Name, q.Type)
	return ok && hit.State(now) == stale.Fresh && hit.Kind() != cache.NXDomain && hit.Cut() == t.place.cut
}

// setAside keeps what a reply to a minimised question said of that name.
func (t *task) setAside(v *verdict) {
	all := entries(v.message, &v.class, v.asked)
	if !t.borrowed(v) && len(all) > 0 && all[0].Name == v.asked.Name && len(t.aside) < maxAside {
		t.aside = append(t.aside, all[0])
	}
}
