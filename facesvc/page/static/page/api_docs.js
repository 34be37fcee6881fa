// Swagger UI has a dark theme, and leaves it to the page to choose it.
const dark = matchMedia("(prefers-color-scheme: dark)");
const chooseTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", chooseTheme);
chooseTheme();

// What was filled into a form would stand in the JSON body when that is chosen in its place.
const beginAgain = (original, system) => (choice) => {
  const chosen = original(choice);
  system.oas3Actions.setRequestBodyValue({ value: undefined, pathMethod: choice.pathMethod });
  return chosen;
};

// A field that is left empty would be sent, as an empty text, unless its box is unticked.
const leaveOut = (original, system) => (choice) => {
  const boxes = system.oas3Selectors.requestBodyInclusionSetting(...choice.pathMethod);
  const isFirst = boxes?.get(choice.name) === undefined; // by the page, and not by somebody
  return original(isFirst ? { ...choice, value: false } : choice);
};
const changes = { setRequestContentType: beginAgain, setRequestBodyInclusion: leaveOut };

// The settings of drf-spectacular name this constant.
const pageSettings = {
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: true,
  plugins: [{ statePlugins: { oas3: { wrapActions: changes } } }],
  requestInterceptor: (request) => request, // the API takes no cookies, so no CSRF token either
  tryItOutEnabled: true,
  validatorUrl: null, // it would be asked in the network
};
