// Writes what Go's regexp package means by many patterns. See README.md.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math/rand/v2"
	"os"
	"regexp"
	"regexp/syntax"
	"runtime"
	"sort"
	"strings"
	"unicode"
)

// Pattern is one pattern and what Go says about it.
type Pattern struct {
	Pattern string `json:"pattern"`
	// Go's error code, empty when the pattern is accepted.
	Error string `json:"error,omitempty"`
	// The part that Go names in the error.
	Expr string `json:"expr,omitempty"`
	// One digit per subject: 1 where the pattern finds a match.
	Matches string `json:"matches,omitempty"`
}

// Class is a digest of the set that \p{Name} stands for, with and without case folding.
type Class struct {
	Name   string `json:"name"`
	Plain  string `json:"plain"`
	Folded string `json:"folded"`
}

// Expected is the whole file.
type Expected struct {
	Go        string    `json:"go"`
	Unicode   string    `json:"unicode"`
	Subjects  []string  `json:"subjects"`
	Written   []Pattern `json:"written"`
	Generated []Pattern `json:"generated"`
	Classes   []Class   `json:"classes"`
	// Names that are no class in Go, though some other dialect knows them.
	NoClasses []string `json:"noClasses"`
	// A digest of case folding: every character that folds, with all that it folds to.
	Folding string `json:"folding"`
}

func main() {
	generated := flag.Int("generated", 1200, "how many patterns to generate")
	seed := flag.Uint64("seed", 4, "the seed of the generated patterns")
	flag.Parse()

	expected := Expected{
		Go:        runtime.Version(),
		Unicode:   unicode.Version,
		Subjects:  subjects,
		NoClasses: noClasses,
		Folding:   folding(),
		Classes:   classes(),
	}
	for _, text := range written() {
		expected.Written = append(expected.Written, judge(text))
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	for len(expected.Generated) < *generated {
		expected.Generated = append(expected.Generated, judge(generate(random)))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(expected); err != nil {
		log.Fatal(err)
	}
}

func judge(text string) Pattern {
	re, err := regexp.Compile(text)
	if err != nil {
		var refused *syntax.Error
		if !errors.As(err, &refused) {
			log.Fatalf("%q: %v", text, err)
		}
		return Pattern{Pattern: text, Error: refused.Code.String(), Expr: refused.Expr}
	}
	var matches strings.Builder
	for _, subject := range subjects {
		if re.MatchString(subject) {
			matches.WriteByte('1')
		} else {
			matches.WriteByte('0')
		}
	}
	return Pattern{Pattern: text, Matches: matches.String()}
}

// generate puts pieces together that are likely to form a pattern, and to trip over each other.
func generate(random *rand.Rand) string {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	var text strings.Builder
	open := 0
	repeatable := false
	for range 1 + random.IntN(9) {
		n := random.IntN(20)
		if 9 <= n && n < 13 && !repeatable && random.IntN(8) > 0 {
			n = 0
		}
		repeatable = n < 9 || n >= 18
		switch {
		case n < 9:
			text.WriteString(pick(atoms))
		case n < 13:
			text.WriteString(pick(operators))
		case n < 15:
			text.WriteString(pick(groups))
			open++
		case n < 17 && open > 0:
			text.WriteString(")")
			open--
			repeatable = true
		case n < 18:
			text.WriteString("|")
		default:
			text.WriteString("[" + pick([]string{"", "", "^"}))
			for range 1 + random.IntN(4) {
				text.WriteString(pick(members))
			}
			text.WriteString("]")
		}
	}
	if random.IntN(8) > 0 {
		text.WriteString(strings.Repeat(")", open))
	}
	return text.String()
}

func classes() []Class {
	names := []string{"Any", "ASCII", "Assigned", "LC", "lu", "greek", "Uppercase Letter", "uppercase_letter"}
	for name := range unicode.Categories {
		names = append(names, name)
	}
	for name := range unicode.Scripts {
		names = append(names, name)
	}
	for name := range unicode.CategoryAliases {
		names = append(names, name)
	}
	sort.Strings(names)
	var found []Class
	for i, name := range names {
		if i > 0 && name == names[i-1] {
			continue
		}
		if _, err := regexp.Compile(`\p{` + name + `}`); err != nil {
			noClasses = append(noClasses, name)
			continue
		}
		found = append(found, Class{name, membersOf(`\p{` + name + `}`), membersOf(`(?i)\p{` + name + `}`)})
	}
	return found
}

// membersOf is a digest of the characters that a pattern for one character matches, as "first-last;" ranges without
// surrogates.
func membersOf(text string) string {
	class, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		log.Fatal(err)
	}
	contains := func(r rune) bool {
		switch class.Op {
		case syntax.OpAnyChar:
			return true
		case syntax.OpLiteral:
			return len(class.Rune) == 1 && class.Rune[0] == r
		}
		for i := 0; i < len(class.Rune); i += 2 {
			if class.Rune[i] <= r && r <= class.Rune[i+1] {
				return true
			}
		}
		return false
	}
	hash := fnv.New64a()
	first, last := rune(-1), rune(-1)
	flush := func() {
		if first >= 0 {
			fmt.Fprintf(hash, "%X-%X;", first, last)
		}
		first = -1
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xD800 <= r && r <= 0xDFFF {
			continue
		}
		if !contains(r) {
			flush()
			continue
		}
		if first < 0 {
			first = r
		}
		last = r
	}
	flush()
	return fmt.Sprintf("%016x", hash.Sum64())
}

func folding() string {
	hash := fnv.New64a()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		orbit := []rune{r}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			orbit = append(orbit, f)
		}
		if len(orbit) > 1 {
			sort.Slice(orbit, func(i, j int) bool { return orbit[i] < orbit[j] })
			fmt.Fprintf(hash, "%X:%X;", r, orbit)
		}
	}
	return fmt.Sprintf("%016x", hash.Sum64())
}
