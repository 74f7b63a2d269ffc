// Package world plays random worlds to the whole program. It holds tests only;
// nothing may import it.
package world
