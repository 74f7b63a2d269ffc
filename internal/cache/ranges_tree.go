package cache

import "lastgood/internal/dnsname"

// rangeTree holds the ranges of a chain in order, so that the one which begins at a
// key, or last before it, is found in logarithmic time however long the chain is: a
// search tree that is a heap by priorities, which are hashes and no one's to choose.
type rangeTree struct{ root *Range }

// floor is the range with the greatest key that is not above one; nil: none.
func (t *rangeTree) floor(key []byte) *Range {
	var best *Range
	for n := t.root; n != nil; {
		if n.key > string(key) {
			n = n.left
		} else {
			best, n = n, n.right
		}
	}
	return best
}

// above is the range with the least key above one; nil: none.
func (t *rangeTree) above(key string) *Range {
	var best *Range
	for n := t.root; n != nil; {
		if n.key > key {
			best, n = n, n.left
		} else {
			n = n.right
		}
	}
	return best
}

// last is the range with the greatest key; nil: there is none.
func (t *rangeTree) last() *Range {
	n := t.root
	for n != nil && n.right != nil {
		n = n.right
	}
	return n
}

// add takes in a range whose key is not there.
func (t *rangeTree) add(r *Range) {
	low, high := splitRanges(t.root, r.key)
	r.left, r.right = nil, nil
	t.root = mergeRanges(mergeRanges(low, r), high)
}

// remove takes out a range that is there.
func (t *rangeTree) remove(r *Range) {
	at := &t.root
	for *at != r {
		if r.key < (*at).key {
			at = &(*at).left
		} else {
			at = &(*at).right
		}
	}
	*at = mergeRanges(r.left, r.right)
	r.left, r.right = nil, nil
}

// splitRanges parts a tree at a key that is not in it.
func splitRanges(n *Range, key string) (low, high *Range) {
	if n == nil {
		return nil, nil
	}
	if n.key < key {
		n.right, high = splitRanges(n.right, key)
		return n, high
	}
	low, n.left = splitRanges(n.left, key)
	return low, n
}

// mergeRanges joins two trees, all of the first below all of the second.
func mergeRanges(low, high *Range) *Range {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.priority > high.priority:
		low.right = mergeRanges(low.right, high)
		return low
	}
	high.left = mergeRanges(low, high.left)
	return high
}

// orderKey appends octets to dst that compare as names do in canonical order (RFC
// 4034 §6.1): the labels from the root down, each with an end that is below all
// that a label can go on with.
func orderKey(dst []byte, name dnsname.Name) []byte {
	for labels := 1; labels <= name.Labels(); labels++ {
		label := name.Suffix(labels).FirstLabel()
		for i := range len(label) {
			if c := label[i]; c <= 1 {
				dst = append(dst, 1, c+1)
			} else {
				dst = append(dst, c)
			}
		}
		dst = append(dst, 0)
	}
	return dst
}
