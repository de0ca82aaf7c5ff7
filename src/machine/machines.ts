// placeholder, replaced below
export interface Machines { readonly x: 1 }
