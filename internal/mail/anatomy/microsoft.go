package anatomy

import (
	"strconv"
	"strings"
)

// What Microsoft's filters write into letters, after their documentation of the
// fields X-MS-Exchange-Organization-*, X-Forefront-Antispam-Report and
// X-Microsoft-Antispam.

// scl is the spam confidence level.
func scl(value string) string {
	switch n, err := strconv.Atoi(strings.TrimSpace(value)); {
	case err != nil:
		return ""
	case n < 0:
		return "Microsoft did not filter it: the sender was taken for safe, or is an own user"
	case n <= 1:
		return "Microsoft takes it for no spam"
	case n <= 4:
		return "Microsoft has a slight suspicion"
	case n <= 6:
		return "Microsoft takes it for spam, and puts it into Junk"
	}
	return "Microsoft is sure that it is spam"
}

// pcl is the phishing confidence level.
func pcl(value string) string {
	switch n, err := strconv.Atoi(strings.TrimSpace(value)); {
	case err != nil:
		return ""
	case n <= 3:
		return "Microsoft takes it for no phishing"
	}
	return "Microsoft takes it for phishing"
}

// bcl is the bulk complaint level.
func bcl(value string) string {
	switch n, err := strconv.Atoi(strings.TrimSpace(value)); {
	case err != nil:
		return ""
	case n <= 0:
		return "Microsoft knows the sender for no bulk mail"
	case n <= 3:
		return "bulk mail with few complaints"
	case n <= 7:
		return "bulk mail with some complaints"
	}
	return "bulk mail with many complaints"
}

// forefront explains the pairs of X-Forefront-Antispam-Report, "SCL:1;SFV:NSPM;…".
func forefront(value string) string { return pairs(value, forefrontTags) }

// microsoftAntispam explains "BCL:0;PCL:2;…".
func microsoftAntispam(value string) string { return pairs(value, forefrontTags) }

var forefrontTags = map[string]func(string) string{
	"SCL": func(v string) string { return numbered("SCL", v, scl(v)) },
	"PCL": func(v string) string { return numbered("PCL", v, pcl(v)) },
	"BCL": func(v string) string { return numbered("BCL", v, bcl(v)) },
	"CIP": func(v string) string { return "came from " + v },
	"CTRY": func(v string) string {
		return "which is in " + v
	},
	"PTR": func(v string) string { return "and is called " + v },
	"SFV": coded(map[string]string{
		"SPM": "SFV:SPM: taken for spam because of what it says", "NSPM": "SFV:NSPM: not taken for spam", "SKA": "SFV:SKA: not filtered, the sender is on an allow list",
		"SKB": "SFV:SKB: taken for spam, the sender is on a block list", "SKI": "SFV:SKI: not filtered, from inside the organisation", "SKN": "SFV:SKN: not filtered, as a rule or list said so before",
		"SKQ": "SFV:SKQ: released from quarantine", "SKS": "SFV:SKS: marked as spam before the filter saw it", "SFE": "SFV:SFE: not filtered, the recipient trusts the sender",
		"BLK": "SFV:BLK: the recipient blocks the sender", "SKBULK": "SFV:SKBULK: bulk mail",
	}),
	"IPV": coded(map[string]string{"CAL": "IPV:CAL: the address is on the organisation's allow list", "NLI": "IPV:NLI: the address is on no list of good or bad ones"}),
	"CAT": coded(map[string]string{
		"NONE": "CAT:NONE: no category of abuse", "SPM": "CAT:SPM: spam", "HSPM": "CAT:HSPM: spam, with high confidence", "BULK": "CAT:BULK: bulk mail", "PHSH": "CAT:PHSH: phishing",
		"HPHSH": "CAT:HPHSH: phishing, with high confidence", "HPHISH": "CAT:HPHISH: phishing, with high confidence", "MALW": "CAT:MALW: malware", "SPOOF": "CAT:SPOOF: a forged sender",
		"DIMP": "CAT:DIMP: imitates a domain", "UIMP": "CAT:UIMP: imitates a user", "GIMP": "CAT:GIMP: imitates somebody the recipient writes with", "BIMP": "CAT:BIMP: imitates a brand",
		"INTOS": "CAT:INTOS: phishing from inside the organisation", "AMP": "CAT:AMP: an attachment that may be malware", "SAP": "CAT:SAP: an attachment that is safe",
		"FTBP": "CAT:FTBP: an attachment of a forbidden type", "OSPM": "CAT:OSPM: spam that an own user sends",
	}),
}

func numbered(name, value, meaning string) string {
	if meaning == "" {
		return ""
	}
	return name + ":" + value + ": " + meaning
}

func coded(table map[string]string) func(string) string {
	return func(v string) string { return table[strings.ToUpper(v)] }
}

// pairs explains name:value; in its order. What is not known says nothing.
func pairs(value string, tags map[string]func(string) string) string {
	var said []string
	for pair := range strings.SplitSeq(value, ";") {
		name, v, found := strings.Cut(strings.TrimSpace(pair), ":")
		explain := tags[strings.ToUpper(name)]
		if v = strings.TrimSpace(v); !found || v == "" || explain == nil || len(said) == 20 {
			continue
		}
		if s := explain(v); s != "" {
			said = append(said, s)
		}
	}
	return strings.Join(said, "; ")
}
