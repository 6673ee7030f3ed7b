export const VERSION = '0.1.0'; // of this half; a test holds it against the other's
