//! Rust out of a service: a trait for whoever implements it, a server of it, a client of it; next to the messages that prost makes.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use prost_build::{Comments, ServiceGenerator};
use quote::{format_ident, quote};
use syn::{Ident, LitInt, Type};

use crate::annotations::Runs;
use crate::service::{Method, Service};

/// Called by prost for each service, behind the messages of its file.
pub(crate) struct RustGenerator {
    services: HashMap<String, Service>,
    /// Name and id of each method, by package.
    methods: HashMap<String, Vec<(String, u32)>>,
}

impl RustGenerator {
    pub(crate) fn new(services: HashMap<String, Service>) -> RustGenerator {
        RustGenerator { services, methods: HashMap::new() }
    }
}

impl ServiceGenerator for RustGenerator {
    fn generate(&mut self, found: prost_build::Service, buffer: &mut String) {
        let service = &self.services[&full_name(&found.package, &found.proto_name)];
        let table = self.methods.entry(found.package.clone()).or_default();
        table.extend(service.methods.iter().map(|method| (method.full_name.clone(), method.id)));
        let parts = Parts::new(service, &found);
        for item in [parts.service_trait(), parts.server(), parts.client()] {
            buffer.push_str(&item.to_string());
        }
    }

    fn finalize_package(&mut self, package: &str, buffer: &mut String) {
        let methods = self.methods.remove(package).unwrap_or_default();
        buffer.push_str(&package_items(&methods).to_string());
    }
}

fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}

/// What the code of a service is put together from.
struct Parts<'a> {
    service: &'a Service,
    trait_name: Ident,
    server: Ident,
    client: Ident,
    docs: TokenStream,
    methods: Vec<MethodParts<'a>>,
}

struct MethodParts<'a> {
    method: &'a Method,
    name: Ident,
    docs: TokenStream,
    input: Type,
    output: Type,
}

impl<'a> Parts<'a> {
    fn new(service: &'a Service, found: &prost_build::Service) -> Parts<'a> {
        let methods = service.methods.iter().zip(&found.methods).map(|(method, found)| MethodParts {
            method,
            name: method_name(&found.name),
            docs: docs(&found.comments, &format!(" `{}`", method.full_name)),
            input: rust_type(&found.input_type),
            output: rust_type(&found.output_type),
        });
        Parts {
            service,
            trait_name: identifier(&found.name),
            server: format_ident!("{}Server", found.name),
            client: format_ident!("{}Client", found.name),
            docs: docs(&found.comments, &format!(" `{}`", service.full_name)),
            methods: methods.collect(),
        }
    }

    fn service_trait(&self) -> TokenStream {
        let Parts { trait_name, docs, .. } = self;
        let methods = self.methods.iter().map(|MethodParts { method, name, docs, input, output }| {
            let result = quote!(::core::result::Result<#output, ::mcrpc::Failure>);
            let result = match method.annotations.runs {
                Runs::Async => quote!(impl ::core::future::Future<Output = #result> + Send),
                Runs::Blocking | Runs::Inline => result,
            };
            quote!(#docs fn #name(&self, request: #input) -> #result;)
        });
        quote! {
            #docs
            pub trait #trait_name: Send + Sync + 'static {
                #(#methods)*
            }
        }
    }

    fn server(&self) -> TokenStream {
        let Parts { service, trait_name, server, .. } = self;
        let about = format!(" Serves `{}`: for `Builder::service` of a server.", service.full_name);
        let added = self.methods.iter().map(|method| method.added_to_server(trait_name));
        quote! {
            #[doc = #about]
            #[derive(Debug)]
            pub struct #server<T>(::std::sync::Arc<T>);

            impl<T: #trait_name> #server<T> {
                /// Serves by means of this implementation.
                pub fn new(service: T) -> Self {
                    Self(::std::sync::Arc::new(service))
                }
            }

            #[allow(clippy::let_unit_value, reason = "that is google.protobuf.Empty")]
            impl<T: #trait_name> ::mcrpc::Service for #server<T> {
                fn add_to(self, methods: &mut ::mcrpc::Methods) {
                    #(#added)*
                }
            }
        }
    }

    fn client(&self) -> TokenStream {
        let Parts { service, client, .. } = self;
        let about = format!(" Calls `{}`.", service.full_name);
        let from_client = service.discovery_name.as_ref().map(|name| {
            quote! {
                impl #client {
                    /// The name by which discovery knows the service.
                    pub const DISCOVERY_NAME: &str = #name;
                }

                impl ::core::convert::From<::mcrpc::Client> for #client {
                    /// Calls the service that has its usual name in discovery.
                    fn from(client: ::mcrpc::Client) -> Self {
                        Self::new(client, Self::DISCOVERY_NAME)
                    }
                }
            }
        });
        let methods = self.methods.iter().map(MethodParts::called_by_client);
        quote! {
            #[doc = #about]
            #[derive(Clone)]
            pub struct #client {
                client: ::mcrpc::Client,
                service: ::std::sync::Arc<str>,
            }

            #from_client

            impl #client {
                /// Calls the service that has this name in discovery.
                pub fn new(client: ::mcrpc::Client, service: impl Into<::std::sync::Arc<str>>) -> Self {
                    Self { client, service: service.into() }
                }

                #(#methods)*
            }
        }
    }
}

impl MethodParts<'_> {
    /// The statement that adds the method to a server's table.
    fn added_to_server(&self, trait_name: &Ident) -> TokenStream {
        let MethodParts { method, name, .. } = self;
        let full_name = &method.full_name;
        let added = match method.annotations.runs {
            Runs::Async => quote! {
                methods.add(#full_name, move |request| {
                    let service = ::std::sync::Arc::clone(&service);
                    async move {
                        let request = read_request(#full_name, request.into_payload())?;
                        let reply = <T as #trait_name>::#name(&service, request).await?;
                        Ok(::prost::Message::encode_to_vec(&reply).into())
                    }
                });
            },
            Runs::Blocking => quote! {
                methods.add_blocking(#full_name, move |request| {
                    let request = read_request(#full_name, request.into_payload())?;
                    let reply = <T as #trait_name>::#name(&service, request)?;
                    Ok(::prost::Message::encode_to_vec(&reply).into())
                });
            },
            Runs::Inline => quote! {
                methods.add_inline(#full_name, move |request, out| {
                    let context = request.context();
                    let request = read_request(#full_name, request.payload())?;
                    let reply = context.scope_blocking(|| <T as #trait_name>::#name(&service, request))?;
                    ::prost::Message::encode(&reply, out).expect("a vector grows");
                    Ok(())
                });
            },
        };
        quote! {
            let service = ::std::sync::Arc::clone(&self.0);
            #added
        }
    }

    /// The client's method, with what the annotations preset.
    fn called_by_client(&self) -> TokenStream {
        let MethodParts { method, name, docs, input, output } = self;
        let full_name = &method.full_name;
        let annotations = &method.annotations;
        let timeout = annotations.timeout_ms.map(|ms| {
            let ms = unsuffixed(ms);
            quote!(.timeout(::core::time::Duration::from_millis(#ms)))
        });
        let idempotent = annotations.is_idempotent.then(|| quote!(.idempotent(true)));
        let priority = annotations.priority.map(|priority| {
            let priority = unsuffixed(priority);
            quote!(.priority(#priority))
        });
        let business_id = annotations.business_id.map(|business_id| {
            let business_id = unsuffixed(business_id);
            quote!(.business_id(#business_id))
        });
        quote! {
            #docs
            pub fn #name(&self, request: &#input) -> ::mcrpc::Call<#output> {
                self.client
                    .call(&self.service, #full_name, ::prost::Message::encode_to_vec(request))
                    .decode_with(|reply| read_reply(#full_name, reply))
                    #timeout
                    #idempotent
                    #priority
                    #business_id
            }
        }
    }
}

/// What the services of a package share.
fn package_items(methods: &[(String, u32)]) -> TokenStream {
    let rows = methods.iter().map(|(name, id)| {
        let id = LitInt::new(&format!("{id:#010x}"), Span::call_site());
        quote!((#name, #id))
    });
    quote! {
        /// The methods of this package, and their ids on the wire.
        pub const METHODS: &[(&str, u32)] = &[#(#rows),*];

        #[doc = " What does not parse is the caller's fault."]
        fn read_request<M: ::prost::Message + Default>(
            method: &str,
            payload: impl ::prost::bytes::Buf,
        ) -> ::core::result::Result<M, ::mcrpc::Failure> {
            M::decode(payload).map_err(|error| {
                ::mcrpc::Failure::of_system(::mcrpc::Status::INVALID_ARGUMENT)
                    .with_text(::std::format!("{method}: {error}"))
            })
        }

        #[doc = " What does not parse comes from a server that is broken or has other messages: another one may do better."]
        fn read_reply<M: ::prost::Message + Default>(
            method: &str,
            payload: ::prost::bytes::Bytes,
        ) -> ::core::result::Result<M, ::mcrpc::Failure> {
            M::decode(payload).map_err(|error| {
                ::mcrpc::Failure::of_system(::mcrpc::Status::READ_FAILED)
                    .with_text(::std::format!("{method}: {error}"))
            })
        }
    }
}

/// The comments of a `.proto`, or what is said in their place.
fn docs(comments: &Comments, otherwise: &str) -> TokenStream {
    let mut text = String::new();
    comments.append_with_indent(0, &mut text);
    match text.parse::<TokenStream>() {
        Ok(docs) if !docs.is_empty() => docs,
        _ => quote!(#[doc = #otherwise]),
    }
}

/// `new` is taken: it makes a client.
fn method_name(name: &str) -> Ident {
    if name == "new" { format_ident!("new_") } else { identifier(name) }
}

/// prost has made sure that it is one, by `r#` if need be.
fn identifier(name: &str) -> Ident {
    syn::parse_str(name).unwrap_or_else(|error| panic!("prost calls a thing {name}: {error}"))
}

fn rust_type(path: &str) -> Type {
    syn::parse_str(path).unwrap_or_else(|error| panic!("prost calls a type {path}: {error}"))
}

fn unsuffixed(number: impl Into<u32>) -> LitInt {
    LitInt::new(&number.into().to_string(), Span::call_site())
}
