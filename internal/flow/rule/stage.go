package rule

import "fmt"

// Stage is the moment of an SMTP dialogue at which a rule is asked.
type Stage uint8

// The stages, in the order of the dialogue.
const (
	Connect Stage = iota + 1 // a client is there
	Helo                     // it said its name
	Mail                     // MAIL FROM
	Rcpt                     // RCPT TO, once for each recipient
	Data                     // DATA, before the message
	End                      // the message is here, its 250 is not yet said
)

// Stages are all of them in their order.
var stageNames = [...]string{Connect: "connect", Helo: "helo", Mail: "mail", Rcpt: "rcpt", Data: "data", End: "end"}

// ParseStage reads the name of a stage as it stands in the settings.
func ParseStage(s string) (Stage, error) {
	for i, name := range stageNames {
		if name != "" && name == s {
			return Stage(i), nil
		}
	}
	return 0, fmt.Errorf(`expected "connect", "helo", "mail", "rcpt", "data" or "end", found %q%s`, s, near(s, stageNames[1:]))
}

// String is the name in the settings.
func (s Stage) String() string { return stageNames[s] }

// Command is the stage as Postfix's log names it.
func (s Stage) Command() string {
	return [...]string{"", "CONNECT", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE"}[s]
}
