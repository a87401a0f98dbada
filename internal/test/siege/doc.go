// Package siege attacks a running facteur over loopback as the world does: too
// many connections, handshakes that never end, guessed addresses and passwords,
// lines and letters without end.
//
// A Flood is one kind of attack, from one address or from many of 127.0.0.0/8; it
// goes on until its context ends and says what answers it got. A Control is an
// ordinary client that the server knows and trusts and that wants its answers
// meanwhile. Usage is what the server holds: memory, files, threads.
//
// The tests here ask that the server stays within bounds and that the control
// client is answered; how fast is a matter for internal/test/bench, which runs the
// same floods.
package siege
