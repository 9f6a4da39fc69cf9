//! The served documents: that they are whole, and that they speak of the code as it is.

mod asyncapi;
mod openapi;
mod served;
