package resolver

import (
	"runtime/debug"

	"lastgood/internal/ede"
	"lastgood/internal/iterator"
)

// guarded guards a resolution against a programmer's error: the panic is
// reported, its clients get SERVFAIL, everybody else goes on.
func (r *Resolver) guarded(resolve func() iterator.Result) (res iterator.Result) {
	defer r.guard(&res)
	return resolve()
}

// guard is what a guarded function defers.
func (r *Resolver) guard(res *iterator.Result) {
	p := recover()
	if p == nil {
		return
	}
	if r.panicked == nil {
		panic(p)
	}
	r.panicked(p, debug.Stack())
	*res = iterator.Result{Failure: &ede.Error{Code: ede.Other, ID: "PANC", Text: "internal error, see the log"}}
}
