package resolver

import (
	"context"
	"slices"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
)

// Latest asks the servers of a question now, whatever is cached, and keeps nothing
// of what they say. Nobody has judged it: where accept, given what is found for the
// question itself, says no, two other servers are asked. It ends at the latest at
// the resolution deadline.
func (r *Resolver) Latest(ctx context.Context, q event.Question, accept func(*cache.Entry) bool) *ede.Error {
	if !r.flights.enter() {
		return cause(nil)
	}
	defer r.flights.running.Done()
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	defer context.AfterFunc(r.base, cancel)()
	req := iterator.Request{Name: q.Name, Type: q.Type, Budget: iterator.NewBudget(r.queries, r.bytes)}
	res := r.guarded(func() iterator.Result { return iterator.Result{Failure: r.latest(ctx, req, accept)} })
	return res.Failure
}

// latest asks one server after another, until one says what is accepted.
func (r *Resolver) latest(ctx context.Context, req iterator.Request, accept func(*cache.Entry) bool) *ede.Error {
	var failure *ede.Error
	for range 1 + otherServers {
		res := r.iterator.Resolve(ctx, req)
		if !useful(&res) {
			return cause(firstOf(failure, res.Failure))
		}
		i := slices.IndexFunc(res.Entries, func(e cache.Entry) bool { return e.Name == req.Name && e.Type == req.Type && e.Kind == cache.Data })
		switch {
		case i >= 0 && accept(&res.Entries[i]):
			return nil
		case i >= 0:
			failure = &ede.Error{Code: ede.Bogus, ID: "LATE", Text: "what " + res.From.String() + " says of " + req.Name.String() + " was not accepted"}
		default:
			failure = &ede.Error{Code: ede.NoReachableAuthority, ID: "LATN", Text: "the servers say that " + req.Name.String() + " has no " + req.Type.String() + " records"}
		}
		if !res.From.IsValid() {
			break
		}
		req.Avoid = append(req.Avoid, res.From)
	}
	return failure
}

func firstOf(a, b *ede.Error) *ede.Error {
	if a != nil {
		return a
	}
	return b
}
