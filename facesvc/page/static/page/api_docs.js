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

// The settings of drf-spectacular name this constant.
const pageSettings = {
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: true,
  plugins: [{ statePlugins: { oas3: { wrapActions: { setRequestContentType: beginAgain } } } }],
  requestInterceptor: (request) => request, // the API takes no cookies, so no CSRF token either
  tryItOutEnabled: true,
  validatorUrl: null, // it would be asked in the network
};
