package app

import "lastgood/internal/listener"

// shortages tells an operator of what the host or a limit does not give: how
// often since the last look, so that a flood of questions is no flood of
// messages. It keeps what was told before; one goroutine owns it.
type shortages struct {
	system, sockets, waiting, client, congestion, receive, send uint64
}

// look logs what grew since the last look.
func (s *shortages) look(a *App) {
	up, in := a.upstream.Stats(), a.listener.Stats()
	tell := func(told *uint64, now uint64, msg, advice string) {
		if now > *told {
			a.o.Log.Warn(msg, "number", now-*told, "advice", advice)
		}
		*told = now
	}
	tell(&s.system, up.LocalErrors, "questions to name servers were not sent: the system has no descriptor, port or memory left",
		"raise the limit on open files (ulimit -n, LimitNOFILE=)")
	tell(&s.sockets, up.SocketBound, "questions to name servers were not sent: all sockets for them are in use",
		"is the network down, or somebody asking for random names? see lastgood_upstream_queries_total")
	tell(&s.waiting, in.Dropped[listener.DropWaiting], "questions were dropped: too many wait for a resolution",
		"limits.clients-waiting is the bound; see lastgood_questions_waiting")
	tell(&s.client, in.Dropped[listener.DropClient], "questions were dropped: one client has too many waiting",
		"limits.outstanding-per-client is the bound")
	tell(&s.congestion, in.Dropped[listener.DropCongestion], "questions were dropped: more have to be resolved than can be",
		"more processors would help, if nobody is asking for random names; what is cached is answered")
	tell(&s.receive, in.ReceiveErrors, "reading questions failed", "see the kernel's log: is memory short?")
	tell(&s.send, in.Dropped[listener.DropSendBuffer]+in.Dropped[listener.DropSendError], "replies could not be sent",
		"a packet filter, or a full send buffer (net.core.wmem_max)")
}
