package content

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Language is a guess.
type Language struct {
	// Code is that of ISO 639-1: "fr".
	Code string `json:"code"`
	// Share of what was counted that speaks for it, up to 1.
	Share float64 `json:"share"`
}

// How much text is looked at for its language, in bytes, and how many letters or words
// there must be to say something.
const (
	languageText   = 8 << 10
	enoughLetters  = 20
	enoughStops    = 5
	languageShare  = 0.2
	languageNumber = 3
)

// languages guesses by scripts, and for those of Latin and Cyrillic by the small words
// that every text is full of.
func languages(subject, text, other string) []Language {
	s := subject + "\n" + text
	if len(text) < languageText/8 {
		s += "\n" + other
	}
	if len(s) > languageText {
		s = s[:languageText]
	}
	var c census
	c.count(s)
	return c.guess()
}

// census counts letters by script, and small words by language.
type census struct {
	latin, cyrillic, ukrainian, bulgarian, han, kana int
	other                                            map[string]int
	stops                                            [len(stopWords)]int
	words                                            int // that are small words of some language
}

func (c *census) count(s string) {
	word := make([]byte, 0, 32)
	known := stopIndex()
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		i += n
		if letter := r < utf8.RuneSelf && isLetter(byte(r)) || r >= utf8.RuneSelf && unicode.IsLetter(r); letter {
			c.letter(r)
			if len(word) < 28 {
				word = utf8.AppendRune(word, unicode.ToLower(r))
			}
			continue
		}
		c.word(known, word)
		word = word[:0]
	}
	c.word(known, word)
}

func (c *census) word(known map[string]uint32, w []byte) {
	set := known[string(w)]
	if set == 0 {
		return
	}
	c.words++
	for i := range c.stops {
		if set&(1<<i) != 0 {
			c.stops[i]++
		}
	}
}

// letter counts one by its script.
func (c *census) letter(r rune) {
	switch {
	case r < 0x250 || 0x1e00 <= r && r < 0x1f00:
		c.latin++
	case 0x400 <= r && r < 0x530:
		c.cyrillic++
		switch r {
		case 'і', 'ї', 'є', 'ґ', 'І', 'Ї', 'Є':
			c.ukrainian++
		case 'ъ', 'Ъ':
			c.bulgarian++
		}
	case 0x3040 <= r && r < 0x3100:
		c.kana++
	case 0x3400 <= r && r < 0xa000:
		c.han++
	default:
		if code := scriptLanguage(r); code != "" {
			if c.other == nil {
				c.other = map[string]int{}
			}
			c.other[code]++
		}
	}
}

// scriptLanguage is for scripts that are mostly one language's.
func scriptLanguage(r rune) string {
	switch {
	case 0x370 <= r && r < 0x400:
		return "el"
	case 0x530 <= r && r < 0x590:
		return "hy"
	case 0x590 <= r && r < 0x600:
		return "he"
	case 0x600 <= r && r < 0x780:
		return "ar"
	case 0x900 <= r && r < 0x980:
		return "hi"
	case 0xe00 <= r && r < 0xe80:
		return "th"
	case 0x10a0 <= r && r < 0x1100:
		return "ka"
	case 0x1100 <= r && r < 0x1200, 0xac00 <= r && r < 0xd7b0:
		return "ko"
	}
	return ""
}

// guess weighs what was counted. A letter of Chinese is worth two of others.
func (c *census) guess() []Language {
	weight := map[string]float64{}
	for code, n := range c.other {
		weight[code] += float64(n)
	}
	if han := float64(2*c.han + c.kana); c.kana*10 > c.han {
		weight["ja"] += han
	} else {
		weight["zh"] += han
	}
	switch {
	case c.ukrainian*50 > c.cyrillic:
		weight["uk"] += float64(c.cyrillic)
	case c.bulgarian*40 > c.cyrillic:
		weight["bg"] += float64(c.cyrillic)
	default:
		weight["ru"] += float64(c.cyrillic)
	}
	letters := float64(c.latin)
	for _, n := range weight {
		letters += n
	}
	if letters < enoughLetters {
		return nil
	}
	c.latinShares(weight)
	var list []Language
	for code, n := range weight {
		if share := n / letters; share >= languageShare {
			list = append(list, Language{code, min(share, 1)})
		}
	}
	slices.SortFunc(list, func(a, b Language) int {
		if a.Share != b.Share {
			if a.Share > b.Share {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Code, b.Code)
	})
	return list[:min(len(list), languageNumber)]
}

// latinShares gives the letters of Latin to the language with the most small words, and
// in part to a second that comes near: kin share many.
func (c *census) latinShares(weight map[string]float64) {
	best, second := -1, -1
	for i, n := range c.stops {
		switch {
		case best < 0 || n > c.stops[best]:
			best, second = i, best
		case second < 0 || n > c.stops[second]:
			second = i
		}
	}
	n, m := c.stops[best], c.stops[second]
	if n < enoughStops {
		return
	}
	if m >= enoughStops && 10*n < 13*m {
		weight[stopWords[best].code] += float64(c.latin) * float64(n) / float64(n+m)
		weight[stopWords[second].code] += float64(c.latin) * float64(m) / float64(n+m)
		return
	}
	weight[stopWords[best].code] += float64(c.latin)
}

// stopWords are the small words of languages in Latin letters.
var stopWords = [...]struct{ code, words string }{
	{"en", "the and of to in is that for it you with on this are be your have we not from was by or will can at an our if has but all been please they would their which about"},
	{"fr", "le la les de des et un une du en que qui pour dans est vous nous pas sur au aux avec ce cette votre vos sont par plus il elle je mais ou être notre avez ne se si cet merci bonjour"},
	{"de", "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer sind wir ihr ihre ihnen oder haben noch wie bitte uns"},
	{"es", "el la los las de que y en un una por con para se del al es su como más no lo sus pero si está este esta son ha también usted nos sin sobre muy hola gracias desde"},
	{"it", "il di che la e per un una in non è con del della si sono le da dei al nel alla come più ma gli anche questo questa ha lo delle se ci su tuo suo grazie essere ho"},
	{"nl", "de het een en van in is dat op te zijn voor met die niet aan er om ook als bij maar dan wij uw je naar door over hebben heeft wordt nog deze kan u ons geen"},
	{"pt", "o a os as de que e do da em um uma para com não por no na se mais dos das ao como você sua seu mas foi são está pelo pela também ou já obrigado nos isso"},
	{"sv", "och att det som en på är av för med den till inte har de ett om var jag men så vi kan du från eller när ska din er mer hej sig"},
	{"da", "og at det som en på er af for med den til ikke har de et om var jeg men så vi kan du fra eller når skal din der hej sig være blev"},
	{"no", "og at det som en på er av for med den til ikke har de et om var jeg men så vi kan du fra eller når skal din der hei seg være ble"},
	{"fi", "ja on ei se että hän oli en mutta ovat kun niin kuin tai myös joka jos sen mitä minä sinä ole nyt vain hän voi sekä ovat teidän"},
	{"pl", "i w na z się nie do to że jest o jak po za od przez dla oraz ale czy są być może tak już tym ich twoje proszę pan"},
	{"cs", "a se na je v že to s z do o i jsou jako pro by ale od po za který jsem ve tak bude nebo jen už aby prosím také"},
	{"tr", "ve bir bu da de için ile ne olarak çok daha gibi var olan kadar ya en ama mi sonra size bizim ben değil siz her"},
	{"ro", "și de la în a cu pe nu să că un o din este pentru mai au care sunt ce dar sau fi ca prin după vă al acest"},
	{"hu", "a az és hogy nem is egy ez van meg csak de már volt ha el mint vagy ki azt amely még kell lesz ön"},
	{"id", "yang dan di dengan untuk dari ini itu pada tidak anda kami akan ada dalam atau ke bisa adalah saya juga telah"},
	{"vi", "và của là có cho không được một các trong này với người những để đã khi tôi từ bạn"},
}

// stopIndex is the words with the set of languages that have them; made when first asked.
var stopIndex = sync.OnceValue(func() map[string]uint32 {
	index := make(map[string]uint32, 700)
	for i, l := range stopWords {
		for w := range strings.FieldsSeq(l.words) {
			index[w] |= 1 << i
		}
	}
	return index
})
