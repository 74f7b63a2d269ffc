package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// doSeries asks one question after the other; % in the name is its number.
func (w *world) doSeries(st *step) error {
	words, behind := cutAmpersand(st.words)
	words, every, err := cutEvery(words)
	if err != nil {
		return err
	}
	if len(words) < 3 {
		return errors.New("want: series N NAME TYPE [every=D] [option…] [&]")
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 1 || n > maxFlooders {
		return fmt.Errorf("%q is no number up to %d", words[0], maxFlooders)
	}
	from := w.note()
	list := make([]*question, n)
	for i := range n {
		one := slices.Clone(words[1:])
		one[0] = strings.ReplaceAll(one[0], "%", strconv.Itoa(i+1))
		if list[i], err = w.newQuestion(one); err != nil {
			return err
		}
		if err := w.ready(list[i]); err != nil {
			return err
		}
	}
	ask := func() []*reply { return inTurn(list, every) }
	if behind {
		w.leave(&pending{st, from, make(chan []*reply, 1)}, ask)
		return nil
	}
	return w.hold(st, from, ask()...)
}

// inTurn asks one question when the last is answered, or at an interval without
// waiting for replies.
func inTurn(list []*question, every time.Duration) []*reply {
	replies := make([]*reply, len(list))
	var asking sync.WaitGroup
	for i, q := range list {
		if every == 0 {
			replies[i] = put(q)
			continue
		}
		asking.Go(func() { replies[i] = put(q) })
		time.Sleep(every)
	}
	asking.Wait()
	return replies
}

// cutEvery takes the interval of a series out of its words.
func cutEvery(words []string) (rest []string, every time.Duration, err error) {
	for _, word := range words {
		text, ok := strings.CutPrefix(word, "every=")
		if !ok {
			rest = append(rest, word)
			continue
		}
		if every, err = time.ParseDuration(text); err != nil || every <= 0 {
			return nil, 0, fmt.Errorf("%q is no interval", word)
		}
	}
	return rest, every, nil
}
