//go:build race

package world

// slower is how many times fewer worlds are played under the race detector.
const slower = 20
