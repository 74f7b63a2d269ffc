package dnsname

import "strings"

// maxLabels is how many labels a name can have, the root's not counted.
const maxLabels = MaxLen / 2

// Compare orders names canonically (RFC 4034 §6.1): -1, 0 or 1.
func Compare(a, b Name) int {
	var atA, atB [maxLabels]uint8
	la, lb := a.starts(&atA), b.starts(&atB)
	for i := 1; i <= min(la, lb); i++ {
		x, y := a[atA[la-i]:], b[atB[lb-i]:]
		if c := strings.Compare(x.FirstLabel(), y.FirstLabel()); c != 0 {
			return c
		}
	}
	return min(max(la-lb, -1), 1)
}

// starts writes down where each label of n begins, and counts them.
func (n Name) starts(at *[maxLabels]uint8) int {
	count := 0
	for i := 0; i < len(n)-1; i += 1 + int(n[i]) {
		at[count] = uint8(i)
		count++
	}
	return count
}

// CommonLabels counts the labels that a and b share, from the root down.
func CommonLabels(a, b Name) int {
	n := min(a.Labels(), b.Labels())
	a, b = a.Suffix(n), b.Suffix(n)
	for ; n > 0 && a != b; n-- {
		a, b = a.Parent(), b.Parent()
	}
	return n
}

// EqualFold tells whether two names, or two parts of names, in wire form are
// the same regardless of case (RFC 4343).
func EqualFold[A, B ~[]byte | ~string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
