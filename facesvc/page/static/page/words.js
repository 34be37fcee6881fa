/** The texts of the page, in the language that the service chose: facesvc/page/words has them. */

const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const LANGUAGE = document.documentElement.lang;
// The visitor's own kind of that language, such as en-GB. Years are those of the API: the Thai
// calendar of a browser is 543 years ahead.
const LOCALE = navigator.languages.find((each) => each.split("-")[0] === LANGUAGE) ?? LANGUAGE;
const CALENDAR = {calendar: "gregory"};
const plurals = new Intl.PluralRules(LANGUAGE);
const numbers = new Intl.NumberFormat(LOCALE);

/** What the service says itself is English; a page in English need not say so. */
export const isEnglish = LANGUAGE === "en";

/** The text of that name. `{name}` in it is replaced by a value; by `count` one of `name_one` and `name_other` is taken. */
export function t(name, values = {}) {
  const text = TEXTS.page[name] ?? TEXTS.page[`${name}_${plurals.select(values.count)}`];
  return text.replaceAll(/\{(\w+)\}/g, (_, key) => (typeof values[key] === "number" ? numbers.format(values[key]) : values[key]));
}

/** The text about a code of the API, in the part `errors`, `reasons`, `factors` or `removed`; undefined where there is none. */
export function about(part, code) {
  return Object.hasOwn(TEXTS[part], code) ? TEXTS[part][code] : undefined;
}

export const dateAndTime = (date) => date.toLocaleString(LOCALE, CALENDAR);
export const time = (date, options = {}) => date.toLocaleTimeString(LOCALE, options);
