package iterator

import (
	"lastgood/internal/clock"
	"lastgood/internal/infra"
	"lastgood/internal/rrset"
)

// room is memory for what nearly every resolution needs once: a try, what it was
// told, whom it chose from. Each part is lent once, to whoever needs it first; who
// comes after allocates. It is the task's, and used again with it.
type room struct {
	tried, listed, counted, gathered, judged bool // what is lent

	try       try
	tries     [2]infra.Tries
	counts    [1]counting
	sends     Sends
	cands     [4]infra.Candidate
	judgement judgement
}

// judgement is memory for a reply and what is made of it. Record sets are copied
// out of it, with names and data that are nobody else's.
type judgement struct {
	verdict verdict
	reply   replyRoom
}

// replyRoom is memory for a reply that is taken apart.
type replyRoom struct {
	message message
	sets    [4]rrset.Set // of the answer section
	hops    [4]*rrset.Set
	rdata   [64]byte
}

// newTry is a try of the present question.
func (t *task) newTry(now clock.Mono, c *infra.Choice) *try {
	y := &t.room.try
	if t.room.tried {
		y = new(try)
	}
	t.room.tried = true
	y.task, y.Choice, y.Question, y.zone, y.epoch = t, *c, t.asked, t.place.cut, t.epoch
	y.minimised, y.sent, y.sends = t.minimised, now, t.sends(c.Addr)
	return y
}

func (t *task) newSends() *Sends {
	if t.room.counted {
		return new(Sends)
	}
	t.room.counted, t.counts = true, t.room.counts[:0]
	return &t.room.sends
}

func (t *task) newJudgement() *judgement {
	if t.room.judged {
		return new(judgement)
	}
	t.room.judged = true
	return &t.room.judgement
}

// addTry notes that the present question is put to a server for the first time.
func (t *task) addTry(n infra.Tries) {
	if t.tries == nil && !t.room.listed {
		t.room.listed, t.tries = true, t.room.tries[:0]
	}
	t.tries = append(t.tries, n)
}

// handOut notes that another goroutine knows of the task, or of something in it, and
// may outlast it.
func (t *task) handOut() {
	if !t.shared {
		t.shared, t.results = true, make(chan result)
	}
}

// recycle makes a task that has ended usable again, unless something that it began
// may still go on and know of it, which it tells.
func (it *Iterator) recycle(t *task) (over bool) {
	if t.shared || t.life.made != nil {
		return false
	}
	reader := t.reader
	*t = task{reader: reader}
	it.tasks.Put(t)
	return true
}
