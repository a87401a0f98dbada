package content

import "strings"

// kin are languages that are not guessed, or not told apart well, by what they are guessed
// as: by their script, or their small words.
var kin = [...]struct{ guess, codes string }{
	{"ar", "fa ur ps ku ug sd"}, {"he", "yi"}, {"hi", "mr ne sa"},
	{"ru", "be bg kk ky mk mn sr tg tt uk"}, {"uk", "be ru"}, {"bg", "mk ru sr"},
	{"cs", "sk"}, {"da", "nb nn no"}, {"no", "da nb nn"}, {"sv", "da nb nn no"},
	{"nl", "af fy"}, {"de", "lb"}, {"es", "ca eu gl"}, {"pt", "gl"}, {"fr", "br co oc"}, {"it", "co sc"},
	{"id", "jv ms su"}, {"tr", "az tk"}, {"zh", "ja"}, {"ja", "zh"},
}

// MayBe tells whether what is guessed to be of one language may be of another: letters in
// Persian are taken for Arabic ones, by their script.
func MayBe(guess, code string) bool {
	if guess == code {
		return true
	}
	for _, k := range kin {
		if k.guess == guess {
			return code != "" && strings.Contains(" "+k.codes+" ", " "+code+" ")
		}
	}
	return false
}

// codes are those of ISO 639-1.
const codes = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu " +
	"fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky " +
	"la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw " +
	"sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"

// IsLanguage tells a code of ISO 639-1: "ja", and not "jp".
func IsLanguage(code string) bool {
	return len(code) == 2 && strings.Contains(codes, code) && code[0] != ' ' && code[1] != ' '
}
