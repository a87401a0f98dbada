// Package arch is the rules of the house, as tests: who may import whom, what may
// be spoken on which floor, what has to be documented. It reads the source with
// go/parser and needs nothing but the checkout.
//
// A rule that is in the way is changed here, with its reason, or not at all.
package arch
