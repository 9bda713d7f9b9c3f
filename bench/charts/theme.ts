/** Colours of a picture, for light and for dark surroundings. */
export interface Theme {
  name: 'light' | 'dark';
  background: string;
  text: string;
  /** Axes' names and numbers. */
  faint: string;
  lines: string;
  /** By contender, in the order of the list of all contenders. */
  palette: readonly string[];
}

export const light: Theme = {
  name: 'light',
  background: '#ffffff',
  text: '#1b1f24',
  faint: '#57606a',
  lines: '#d8dee4',
  palette: [
    '#9a6700',
    '#57606a',
    '#8c959f',
    '#0969da',
    '#1a7f37',
    '#54aeff',
    '#cf222e',
    '#8250df',
    '#bf3989',
    '#bc4c00',
    '#116329',
    '#0a3069',
  ],
};

export const dark: Theme = {
  name: 'dark',
  background: '#0d1117',
  text: '#e6edf3',
  faint: '#9198a1',
  lines: '#30363d',
  palette: [
    '#d29922',
    '#b1bac4',
    '#8b949e',
    '#58a6ff',
    '#3fb950',
    '#a5d6ff',
    '#ff7b72',
    '#bc8cff',
    '#f778ba',
    '#ffa657',
    '#7ee787',
    '#79c0ff',
  ],
};

export const themes: readonly Theme[] = [light, dark];

/** Marks of a line's points, so that lines can be told apart without colours. */
export const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'pin'] as const;
