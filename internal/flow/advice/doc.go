// Package advice asks programs outside about mail on its way in: policy servers
// (net/policy) and milters (net/milter). Both are hooks of the desk (intake.Hook).
//
//	desk: connect → helo → mail → rcpt … → data → end
//	        │ after our own checks and the rules, at each stage
//	        ├─ Policies: all servers in order; the first that decides, decides
//	        └─ Milter … one hook each, in the order of the settings
//
// What they may do. They refuse, hold, discard and divert; they add and change
// header fields, recipients, sender and body. They can not allow what the desk or a
// rule refused: an OK of a policy server skips other policy servers and nothing
// else, so that no answer of theirs makes an open relay. Recipients that a milter
// adds are the admin's own wish and may be anywhere. Our trace field is neither
// shown nor changed, and stays on top. Bytes that no milter changes stay as they
// were; a letter that nobody changes is not written a second time.
//
// What happens when one does not answer is the admin's to say, for each: the
// default of both is a temporary refusal. It is told in the log with the reason, in
// Postfix's words. A milter that fails at connect or helo is told of at MAIL, when
// there is a message to refuse.
package advice
