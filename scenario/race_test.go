//go:build race

package scenario

// raced tells of the race detector.
const raced = true
