// Package rule is the access rules of the SMTP door: what an admin decides about
// mail while the client is still there to be told.
//
//	[[rule]]
//	name  = "no strangers to the intranet"
//	stage = "rcpt"
//	when  = 'recipient.user == "service.intra" && !trusted && account == ""'
//	then  = "reject 550 5.7.1 This address is for people of the house"
//
// A rule is asked at its stage, in the order of the file. `when` is an expression
// (expr-lang.org) over Facts; `then` is one action or several, see ParseAction. A
// rule with a class is asked only by the action "class NAME" or "ask NAME" of another.
//
// # Invariants
//
// A Set is compiled and type-checked as a whole or not at all; its errors name
// the rule, the place in the expression and what was expected. Expressions have
// no effects: there is nothing in Facts that changes anything. Their work is
// bounded, by the number of nodes at load and by a budget of memory at run time,
// and regular expressions take linear time. A look-up that has no answer makes
// the decision "try again later", whatever the rule would have done: it is never
// taken for "not in the list", and never refuses for good. The same is true of an
// expression that fails at run time, since nobody knows what it would have said.
package rule
