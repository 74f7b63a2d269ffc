//go:build !linux

package upstream

func newKernel(random func([]byte)) Network { return System{Random: random} }
