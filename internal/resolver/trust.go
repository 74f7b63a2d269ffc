package resolver

import (
	"context"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/validator"
)

// Trust tells how one name of an answer is known to be true, or not to be.
type Trust struct {
	Question event.Question
	Links    []event.Link // from the anchor down
	// Sentence says what is wrong, as one would write it into a ticket; "" when
	// nothing is.
	Sentence string
}

// Trust tells of the chains of trust of an answer that the resolver gave, for people:
// from what is cached, else it asks, on a budget of its own. It is nil where nothing
// is validated, and of what is the resolver's own.
func (r *Resolver) Trust(ctx context.Context, q *Query, a *Answer) []Trust {
	if r.validator == nil || a.Local || !r.flights.enter() {
		return nil
	}
	defer r.flights.running.Done()
	entries := []cache.Entry{{Name: q.Name, Type: q.Type}}
	if len(a.Chain) > 0 {
		entries = entries[:0]
	}
	for i := range a.Chain {
		e := a.Chain[i].Entry
		if e.Kind == cache.NXDomain {
			e.Type = q.Type
		}
		entries = append(entries, e)
	}
	f := &flight{work: dnssec.NewBudget(r.work), req: iterator.Request{Depth: 1, Budget: iterator.NewBudget(r.queries, r.bytes)}}
	var list []Trust
	for i := range entries {
		e := &entries[i]
		t := Trust{Question: event.Question{Name: e.Name, Type: e.Type}}
		r.guarded(func() iterator.Result {
			for _, l := range r.validator.Explain(ctx, chainLinks{r, f}, e, f.work) {
				t.Links = append(t.Links, event.Link{Zone: l.Zone, State: l.Security.String(), Text: l.Text})
			}
			return iterator.Result{}
		})
		list = append(list, t)
	}
	for _, e := range a.Errors {
		if e.Code.FailsValidation() && e.Text != "" {
			v := validator.Verdict{Failure: e, Zone: dnsname.Name(e.Zone)}
			list[len(list)-1].Sentence = v.Sentence()
			break
		}
	}
	return list
}
